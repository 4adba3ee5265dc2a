// What a handler knows of the process that serves its client, and nobody else.
//
//   net::Task<> echo(Session& session, net::Stream stream) {
//     std::array<char, 4096> buffer;
//     while (!session.stop().raised()) {
//       const net::IoResult got = co_await stream.read_some(buffer, Deadline::in(60s));
//       if (got.failed() || got.bytes == 0) co_return;
//       if ((co_await stream.write({buffer.data(), got.bytes}, Deadline::in(30s))).failed())
//       co_return;
//     }
//   }
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <spdlog/logger.h>

#include "ipc/base/loop.hpp"
#include "ipc/base/unique_fd.hpp"
#include "ipc/channel.hpp"
#include "proc/signal_action.hpp"
#include "proc/signal_source.hpp"
#include "servers/models/session_board.hpp"
#include "servers/net/interrupt.hpp"
#include "servers/net/stream.hpp"
#include "servers/net/task.hpp"

namespace procpool::models {

class Session;

// Serves one client from its accept to its end, in a process of its own: it may block, but then it
// hears no signal meanwhile. An exception that leaves it is logged, and ends the session.
using SessionHandler = std::function<net::Task<>(Session&, net::Stream)>;

// One process of a server that forks for each client: an event loop with one connection. Made by
// ForkPerClient in the child; for its one thread.
//
// It takes these signals from its master (or from whoever asks): TERM: come to an end, see stop();
// INT: end now; USR1: reopen the logs. When the master dies it is killed.
class Session {
 public:
  struct Parts {  // what the master made for it
    SessionSlot& slot;
    std::string client;  // its address, without the port
    const std::function<std::shared_ptr<spdlog::logger>()>& make_logger;
  };

  static proc::SignalSet signals();  // what it takes: to be blocked from the moment it is forked

  explicit Session(Parts parts);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Until the handler returns, or it is told to end. Returns the exit code. That this process is
  // the session of the slot is shown by whoever made it.
  int run(const SessionHandler& handler, UniqueFd connection);

  // The same, for one that was forked ahead: blocks until it is sent a connection, and its client's
  // address as the text, and says so. Returns also when the channel is closed.
  int run_when_given(const SessionHandler& handler, ipc::Channel channel);

  Loop& loop() noexcept { return loop_; }
  spdlog::logger& log() noexcept { return *log_; }  // another one after each USR1
  SessionSlot& slot() noexcept { return parts_.slot; }
  const std::string& client() const noexcept { return parts_.client; }
  const Parts& parts() const noexcept { return parts_; }

  // Raised when the server stops: what is under way may come to its end, within the graceful
  // time-out; nothing new begins.
  net::Interrupt& stop() noexcept { return stop_; }

  // Run when the logs are to be reopened.
  void at_reopen(std::function<void()> call) { at_reopen_.push_back(std::move(call)); }

 private:
  void obey(int signal_number);
  void open_log();
  net::Task<> serve(const SessionHandler& handler, net::Stream stream);

  Parts parts_;
  proc::ScopedSignalAction no_sigpipe_;  // sendfile(2) and splice(2) know no MSG_NOSIGNAL
  std::shared_ptr<spdlog::logger> log_;
  Loop loop_;
  proc::SignalSource signals_;
  std::vector<std::function<void()>> at_reopen_;
  net::Interrupt stop_;
  bool ended_ = false;
  net::TaskGroup task_;  // last: it uses all of the above
};

}  // namespace procpool::models
