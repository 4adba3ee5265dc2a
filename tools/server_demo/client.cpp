// server-demo client: talks to a server, line by line.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>

#include "ipc/base/deadline.hpp"
#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/net/connect.hpp"
#include "servers/net/datagram_socket.hpp"
#include "tools/server_demo/address_option.hpp"
#include "tools/server_demo/commands.hpp"
#include "tools/server_demo/protocols.hpp"
#include "tools/terminal.hpp"
#include "tools/text.hpp"

namespace procpool::server_demo {
namespace {

constexpr std::chrono::seconds kPatience{10};  // with a server that says nothing
constexpr std::size_t kBuffer = std::size_t{64} << 10;

// What is sent for a line: with http it is the path that is asked for.
std::string request_of(Protocol protocol, const std::string& line) {
  if (protocol != Protocol::http) return line + "\n";
  return "GET " + line + " HTTP/1.1\r\nHost: server-demo\r\n\r\n";
}

// Standard input, in lines as they come.
class Lines {
 public:
  bool ended() const noexcept { return ended_; }

  void read() {  // blocks, if there is nothing
    std::array<char, kBuffer> buffer;
    const ssize_t n =
        retry_eintr([&] { return ::read(STDIN_FILENO, buffer.data(), buffer.size()); });
    if (n < 0) throw_errno("read", "standard input");
    ended_ = n == 0;
    rest_.append(buffer.data(), static_cast<std::size_t>(n));
    if (ended_ && !rest_.empty()) rest_ += '\n';
  }
  std::optional<std::string> next() {
    const std::size_t end = rest_.find('\n');
    if (end == std::string::npos) return std::nullopt;
    std::string line = rest_.substr(0, end);
    rest_.erase(0, end + 1);
    return line;
  }

 private:
  std::string rest_;
  bool ended_ = false;
};

// A connection: what is typed goes out, what comes is shown; neither waits for the other.
class Conversation {
 public:
  Conversation(UniqueFd socket, Protocol protocol)
      : socket_{std::move(socket)}, protocol_{protocol} {}

  void run() {
    while (!answered_) {
      std::array<pollfd, 2> waits{
          pollfd{.fd = socket_.fd(), .events = wanted(), .revents = 0},
          pollfd{.fd = listens() ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0}};
      const int patience = lines_.ended() ? Deadline::in(kPatience).poll_timeout() : -1;
      const int ready = retry_eintr([&] { return ::poll(waits.data(), waits.size(), patience); });
      if (ready < 0) throw_errno("poll");
      if (ready == 0) throw Error{"wait", "server", "it does not end its answer"};
      if (waits[1].revents != 0) take_lines();
      if (waits[0].revents != 0) show_answer();
      send_rest();
    }
  }

 private:
  bool listens() const noexcept { return unsent_.empty() && !lines_.ended(); }
  short wanted() const noexcept { return unsent_.empty() ? POLLIN : POLLIN | POLLOUT; }

  void take_lines() {
    lines_.read();
    while (const auto line = lines_.next()) unsent_ += request_of(protocol_, *line);
    if (lines_.ended() && unsent_.empty()) ::shutdown(socket_.fd(), SHUT_WR);
  }

  void show_answer() {
    std::array<char, kBuffer> buffer;
    const ssize_t n =
        retry_eintr([&] { return ::recv(socket_.fd(), buffer.data(), buffer.size(), 0); });
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) throw_errno("receive", "answer");
    answered_ = n == 0;
    demo::print({buffer.data(), static_cast<std::size_t>(n)});
  }

  void send_rest() {
    if (unsent_.empty() || answered_) return;
    const ssize_t n = retry_eintr(
        [&] { return ::send(socket_.fd(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL); });
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) throw_errno("send", "request");
    unsent_.erase(0, static_cast<std::size_t>(n));
    if (unsent_.empty() && lines_.ended()) ::shutdown(socket_.fd(), SHUT_WR);
  }

  UniqueFd socket_;
  Protocol protocol_;
  Lines lines_;
  std::string unsent_;
  bool answered_ = false;  // to the end
};

int talk(const net::Address& server, Protocol protocol) {
  auto made = net::connect(server, Deadline::in(kPatience));
  if (made.failed()) throw_errno("connect", server.text(), made.error);
  Conversation{std::move(made.socket), protocol}.run();
  return 0;
}

// A line is a datagram, and what answers it is awaited for a moment: nobody says that it was lost.
int talk_by_datagrams(const net::Address& server) {
  constexpr std::chrono::seconds kMoment{1};
  auto socket = net::DatagramSocket::open(server.family());
  socket.connect(server);
  std::array<char, kBuffer> buffer;
  unsigned sent = 0;
  unsigned answered = 0;
  for (std::string line; std::getline(std::cin, line); ++sent) {
    socket.try_send(line);
    const auto answer = socket.receive(buffer, Deadline::in(kMoment));
    if (!answer) continue;
    ++answered;
    demo::print(demo::text(std::string_view{buffer.data(), answer->size}, "\n"));
  }
  if (answered == sent) return 0;
  std::cerr << "server-demo: " << sent - answered << " of " << sent << " had no answer\n";
  return 1;
}

struct ClientOptions {
  std::string address{};
  std::string protocol = "echo";
  bool udp = false;
};

}  // namespace

void offer_client(CLI::App& app, demo::Action& action) {
  const auto options = std::make_shared<ClientOptions>();
  CLI::App* command = app.add_subcommand(
      "client", "sends the lines of standard input to a server, and shows what it answers");
  command->add_option("address", options->address, "what server-demo run has printed")
      ->required()
      ->option_text("ADDRESS");
  CLI::Option* protocol = command
                              ->add_option("--protocol", options->protocol,
                                           "echo, http (a line is a path) or lines (echo)")
                              ->check(CLI::IsMember({"echo", "http", "lines"}))
                              ->option_text("NAME");
  command->add_flag("--udp", options->udp, "a line is a datagram")->excludes(protocol);
  command->callback([&action, options] {
    const net::Address address = address_of("ADDRESS", options->address);
    const Protocol spoken = protocol_named(options->protocol).value();
    action = [=] { return options->udp ? talk_by_datagrams(address) : talk(address, spoken); };
  });
}

}  // namespace procpool::server_demo
