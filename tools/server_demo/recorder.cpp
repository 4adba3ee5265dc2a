#include "tools/server_demo/recorder.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>
#include <variant>

#include <CLI/CLI.hpp>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "tools/server_demo/commands.hpp"
#include "tools/terminal.hpp"
#include "tools/text.hpp"

namespace procpool::server_demo {
namespace {

using demo::text;

constexpr std::string_view kSummary = "clients and the terminal write into one file (select)";
constexpr std::size_t kLongestLine = 4096;
constexpr std::string_view kTerminal = "terminal";

UniqueFd open_record(const std::string& path) {
  UniqueFd file{::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)};
  if (!file.valid()) throw_errno("open", path);
  return file;
}

// A few more than select can watch, so that there is one left to refuse a client by.
void allow_descriptors() {
  constexpr rlim_t kWanted = FD_SETSIZE + 16;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) throw_errno("getrlimit", "RLIMIT_NOFILE");
  if (limit.rlim_cur >= kWanted) return;
  limit.rlim_cur = std::min(limit.rlim_max, kWanted);
  if (::setrlimit(RLIMIT_NOFILE, &limit) < 0) throw_errno("setrlimit", "RLIMIT_NOFILE");
}

net::FrameDecoder line_decoder() {
  return net::FrameDecoder{net::Delimiter{.bytes = "\n"}, kLongestLine};
}

// The socket of somebody who does not read must hold nobody up: what does not go is not sent.
void tell(int socket, std::string_view words) {
  ::send(socket, words.data(), words.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

std::optional<std::string> name_of_peer(int socket) {
  try {
    return net::Address::peer_of(socket).text();
  } catch (const Error&) {
    return std::nullopt;  // it has left already
  }
}

class ReadSet {
 public:
  ReadSet() { FD_ZERO(&set_); }
  void add(int fd) {
    FD_SET(fd, &set_);
    highest_ = std::max(highest_, fd);
  }
  void wait() {  // a signal is in the set, as a descriptor
    const auto ask = [&] { return ::select(highest_ + 1, &set_, nullptr, nullptr, nullptr); };
    if (retry_eintr(ask) < 0) throw_errno("select");
  }
  bool has(int fd) const { return FD_ISSET(fd, &set_); }

 private:
  fd_set set_{};
  int highest_ = -1;
};

}  // namespace

Recorder::Recorder(const RecorderOptions& options)
    : signals_{{SIGINT, SIGTERM, SIGHUP}},
      file_name_{options.file},
      file_{open_record(options.file)},
      listener_{net::Listener::open(options.listen)},
      terminal_{.name = std::string{kTerminal}, .socket = UniqueFd{}, .lines = line_decoder()} {
  allow_descriptors();
}

void Recorder::run() {
  for (;;) {
    ReadSet readable;
    readable.add(signals_.fd());
    readable.add(terminal_.fd());
    if (accepts_) readable.add(listener_.fd());
    for (const Source& client : clients_) readable.add(client.fd());
    readable.wait();

    if (readable.has(signals_.fd()) && signals_.try_next()) return;
    if (readable.has(terminal_.fd()) && hear(terminal_) == Next::leave) return;
    const auto left = clients_.remove_if(
        [&](Source& client) { return readable.has(client.fd()) && hear(client) == Next::leave; });
    if (readable.has(listener_.fd())) accept_client();
    if (left > 0) accepts_ = true;
  }
}

void Recorder::accept_client() {
  auto accepted = listener_.try_accept();
  if (auto* socket = std::get_if<UniqueFd>(&accepted)) {
    admit(std::move(*socket));
    return;
  }
  const int error = std::get<int>(accepted);
  if (error == EAGAIN) return;
  demo::print(text("accepts nobody until somebody leaves: ", error_text(error), "\n"));
  accepts_ = false;
}

void Recorder::admit(UniqueFd socket) {
  const auto name = name_of_peer(socket.fd());
  if (!name) return;
  if (socket.fd() >= FD_SETSIZE) {
    tell(socket.fd(),
         text("no place: select(2) watches descriptors below ", FD_SETSIZE, " only\n"));
    demo::print(text(*name, " was refused: descriptor ", socket.fd(), " is beyond select's set\n"));
    return;
  }
  demo::print(text(*name, " is here\n"));
  clients_.push_back({.name = *name, .socket = std::move(socket), .lines = line_decoder()});
}

Recorder::Next Recorder::hear(Source& source) {
  std::array<char, kLongestLine> buffer;
  const ssize_t bytes = ::read(source.fd(), buffer.data(), buffer.size());
  if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) return Next::go_on;
  if (bytes > 0) return take(source, {buffer.data(), static_cast<std::size_t>(bytes)});
  if (source.lines.unfinished() > 0) take(source, "\n");  // last words
  if (source.socket.valid()) demo::print(text(source.name, " has left\n"));
  return Next::leave;
}

Recorder::Next Recorder::take(Source& source, std::string_view bytes) {
  if (source.leaves_out_line) {
    const std::size_t end = bytes.find('\n');
    if (end == std::string_view::npos) return Next::go_on;
    bytes.remove_prefix(end + 1);
    source.leaves_out_line = false;
  }
  source.lines.feed(bytes);
  while (const auto line = source.lines.next()) {
    if (record(source, *line) == Next::leave) return Next::leave;
  }
  return source.lines.too_long() ? refuse_line(source, bytes) : Next::go_on;
}

// A client is sent away. The terminal is not, as that would be the end for all: its next line is
// looked for in what has come last.
Recorder::Next Recorder::refuse_line(Source& source, std::string_view came_last) {
  const std::string reason = text("a line has at most ", kLongestLine, " bytes\n");
  if (source.socket.valid()) {
    tell(source.fd(), reason);
    demo::print(text(source.name, " was sent away: its line was too long\n"));
    return Next::leave;
  }
  demo::print("left out: " + reason);
  const std::size_t left = std::min(came_last.size(), source.lines.unfinished());
  source.lines = line_decoder();
  source.leaves_out_line = true;
  return take(source, came_last.substr(came_last.size() - left));
}

Recorder::Next Recorder::record(const Source& source, std::string_view words) {
  if (!source.socket.valid() && words == "quit") return Next::leave;
  write(source.name, words);
  return Next::go_on;
}

void Recorder::write(std::string_view who, std::string_view words) {
  write_full(file_.fd(), text(who, " ", words, "\n"), file_name_);
}

void offer_recorder(CLI::App& app, demo::Action& action) {
  CLI::App* command = app.add_subcommand("recorder", std::string{kSummary});
  command->footer(
      "\nOne process waits at once for new clients, for what they say, and for the terminal.\n"
      "It ends at \"quit\", at the end of its input, and at SIGTERM.");
  CLI::Option* listen = command->add_option("--listen")->description("where (127.0.0.1:0)");
  CLI::Option* file = command->add_option("--file")->description("appended to (record.txt)");
  listen->option_text("ADDR:PORT");
  file->option_text("FILE");
  listen->check([](const std::string& given) -> std::string {
    try {
      net::Address::parse(given);
      return {};
    } catch (const Error& error) {
      return error.what();
    }
  });
  command->callback([&action, listen, file] {
    action = [address = listen->count() > 0 ? listen->as<std::string>() : "127.0.0.1:0",
              path = file->count() > 0 ? file->as<std::string>() : "record.txt"] {
      Recorder recorder{{.listen = net::Address::parse(address), .file = path}};
      demo::print(text("records into ", path, ", listens on ", recorder.address().text(),
                       "; type lines, or quit\n"));
      recorder.run();
      return 0;
    };
  });
}

}  // namespace procpool::server_demo
