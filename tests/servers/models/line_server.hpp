// A pre-forked server that answers lines, for one test, and its client.
//
//   Server server{{.workers = 2}};
//   Client client{server.address()};
//   EXPECT_TRUE(client.ask());                            // the process that answered
//   server.signal(SIGHUP);
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/shared.hpp"
#include "servers/models/error_log.hpp"
#include "servers/models/prefork.hpp"
#include "tests/support/children.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {

constexpr std::chrono::seconds kIdle{60};
constexpr std::chrono::milliseconds kWork{10};
constexpr std::size_t kGrowth = std::size_t{300} << 20;

// Memory that stays.
inline void grow() {
  static std::vector<char> memory;
  memory.assign(kGrowth, 'x');
}

// Answers each line with the number of its process. "log" writes a line into the error log first,
// "throw" throws, "hang" never comes back; "work" takes its time, "grow" takes memory.
inline net::Task<> answer_lines(models::Worker& worker, net::Stream stream) {
  std::array<char, 256> buffer;
  for (;;) {
    const auto woken = co_await stream.readable(Deadline::in(kIdle), worker.drain());
    if (woken.interrupted()) {
      if (!worker.must_close()) co_return worker.hand_over(std::move(stream));
      if (wait_ready(stream.fd(), POLLIN, Deadline::now()) == 0) co_return;
    } else if (woken.failed()) {
      co_return;
    }
    std::string line;
    do {
      const auto got = co_await stream.read_some(buffer, Deadline::in(kPatience));
      if (got.failed() || got.bytes == 0) co_return;
      line.append(buffer.data(), got.bytes);
    } while (line.back() != '\n');
    if (line == "log\n") worker.log().error("somebody asked for a line");
    while (line == "hang\n") ::pause();
    if (line.starts_with("grow")) grow();
    while (line == "grow and hang\n") ::pause();
    if (line == "work\n") std::this_thread::sleep_for(kWork);
    if (line == "throw\n") throw std::runtime_error{"somebody asked for an exception"};
    const std::string answer = std::to_string(::getpid()) + "\n";
    if ((co_await stream.write(answer, Deadline::in(kPatience))).failed()) co_return;
    worker.slot().count_request(answer.size(), {});
  }
}

inline models::Handler make_answerer(models::Worker& worker) {
  return [&worker](net::Stream stream) { return answer_lines(worker, std::move(stream)); };
}

// A Prefork in a process of its own. Ends with the test, its workers first.
class Server {
 public:
  // `change` makes another service of this one at each reload, in the master.
  using Change = std::function<models::Service(models::Service)>;
  explicit Server(models::Service wanted, Change change = {})
      : service_{complete(std::move(wanted))}, change_{std::move(change)} {}

  ~Server() {
    if (master_.ended()) return;
    master_.kill(SIGINT);
    master_.wait();
  }

  // Of the service's `listen`, if it has any.
  net::Address address(std::size_t number = 0) const {
    EXPECT_TRUE(serving_.wait(Deadline::in(kPatience))) << log_text();
    const net::Address& asked = service_.listen.at(number);
    if (asked.is_unix()) return asked;
    const std::string text = asked.text();
    return net::Address::parse(text.substr(0, text.rfind(':') + 1) +
                               std::to_string(ports_->at(number).load()));
  }

  // Those that live at this moment.
  std::vector<pid_t> workers() const {
    std::vector<pid_t> pids;
    for (const Child& child : list_children(master_.pid())) {
      if (child.state != 'Z') pids.push_back(child.pid);
    }
    return pids;
  }

  const std::filesystem::path& folder() const { return folder_.path(); }

  pid_t pid() const { return master_.pid(); }  // of the master
  void signal(int number) { master_.kill(number); }
  test::Ending wait() { return master_.wait(); }
  bool is_running() const { return !master_.ended(); }

  std::filesystem::path log() const { return folder_.path() / "log"; }
  std::string log_text() const {
    return std::filesystem::exists(log()) ? read_file(log()) : std::string{};
  }
  bool logs(std::string_view text) const {
    return eventually([&] { return log_text().find(text) != std::string::npos; });
  }

 private:
  using Ports = std::array<std::atomic<std::uint16_t>, 4>;

  models::Service complete(models::Service service) const {
    if (service.listen.empty()) service.listen = {net::Address::parse("127.0.0.1:0")};
    if (!service.make_handler) service.make_handler = make_answerer;
    service.make_logger = [this] { return models::make_error_log("test", log()); };
    service.open_crash_log = [this] { return models::open_error_log(log()); };
    return service;
  }

  int run() {
    models::Prefork master{service_,
                           {.reload = [this] { return change_ ? change_(service_) : service_; },
                            .on_serving =
                                [this](const auto& addresses) {
                                  for (std::size_t i = 0; i < addresses.size(); ++i)
                                    ports_->at(i) = addresses[i].port();
                                  serving_.open();
                                }}};
    return master.run();
  }

  test::TempDir folder_;
  models::Service service_;
  Change change_;
  ipc::Shared<Ports> ports_;
  Gate serving_;
  Forked master_{[this] { return run(); }};
};

class Client {
 public:
  explicit Client(const net::Address& server)
      : socket_{::socket(server.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    if (!socket_.valid()) throw_errno("socket");
    if (::connect(socket_.fd(), server.data(), server.size()) < 0) {
      throw_errno("connect", server.text());
    }
  }

  void send(std::string_view text) { write_full(socket_.fd(), text, "client"); }

  // The process that answered; nullopt: the connection has ended.
  std::optional<pid_t> receive() {
    std::string line;
    for (char byte = 0; byte != '\n'; line += byte) {
      if (!has_answer(Deadline::in(kPatience))) {
        ADD_FAILURE() << "no answer for a long time";
        return std::nullopt;
      }
      if (::recv(socket_.fd(), &byte, 1, 0) != 1) return std::nullopt;
    }
    return std::stoi(line);
  }

  std::optional<pid_t> ask(std::string_view line = "who\n") {
    send(line);
    return receive();
  }

  bool has_answer(Deadline deadline) const {
    return wait_ready(socket_.fd(), POLLIN, deadline) != 0;
  }
  bool ended() { return !receive(); }

 private:
  UniqueFd socket_;
};

// Asks until another process than those answers.
inline testing::AssertionResult is_taken_over_from(const std::set<pid_t>& old, Client& client) {
  std::optional<pid_t> answered;
  const bool taken = eventually([&] {
    answered = client.ask();
    return !answered || !old.contains(*answered);
  });
  if (taken && answered) return testing::AssertionSuccess();
  return testing::AssertionFailure() << (taken ? "the connection ended" : "nobody took it over");
}

struct Tally {
  std::atomic<std::uint64_t> answered{0};
  std::atomic<std::uint64_t> lost{0};
};

// Clients that come, ask once and leave, one after the other, each in a process of its own.
class Visitors {
 public:
  Visitors(std::vector<net::Address> servers, int count, std::string line = "who\n")
      : line_{std::move(line)} {
    for (int i = 0; i < count; ++i) {
      processes_.emplace_back(
          [this, server = servers[static_cast<std::size_t>(i) % servers.size()]] {
            visit(server);
          });
    }
  }

  bool await_answers(std::uint64_t more) const {
    const std::uint64_t enough = tally_->answered + more;
    return eventually([&] { return tally_->answered >= enough; }, Deadline::in(kIdle));
  }

  void stop() {
    stop_.open();
    for (Forked& process : processes_) EXPECT_EQ(process.wait(), exited(0));
  }

  std::uint64_t lost() const { return tally_->lost; }

 private:
  void visit(const net::Address& server) {
    while (!stop_.is_open()) ++(is_answered(server) ? tally_->answered : tally_->lost);
  }

  bool is_answered(const net::Address& server) const {
    try {
      return Client{server}.ask(line_).has_value();
    } catch (const Error&) {  // reset, or refused
      return false;
    }
  }

  std::string line_;
  ipc::Shared<Tally> tally_;
  Gate stop_;
  std::vector<Forked> processes_;
};

}  // namespace procpool::test
