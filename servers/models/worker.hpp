// What a connection handler knows of the process it runs in.
//
//   Handler make_echo(Worker& worker) {
//     return [&worker](net::Stream stream) -> net::Task<> {
//       auto idle = [&] { return stream.readable(Deadline::in(60s), worker.drain()); };
//       while (!(co_await idle()).failed()) co_await echo(stream);
//       if (worker.drain().raised()) worker.hand_over(std::move(stream));
//     };
//   }
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <spdlog/logger.h>

#include "ipc/base/deadline.hpp"
#include "ipc/base/loop.hpp"
#include "ipc/channel.hpp"
#include "proc/scoreboard.hpp"
#include "proc/signal_action.hpp"
#include "proc/signal_source.hpp"
#include "proc/supervisor.hpp"
#include "servers/models/crash_report.hpp"
#include "servers/models/sandbox.hpp"
#include "servers/net/interrupt.hpp"
#include "servers/net/listener.hpp"
#include "servers/net/stream.hpp"
#include "servers/net/task.hpp"

namespace procpool::models {

namespace detail {
class Acceptor;
class Intake;
}  // namespace detail

class Worker;

// Serves one connection from its accept, or from where the last worker left it idle, to its end.
// Runs as a coroutine of the worker's loop: it must not block. An exception that leaves it costs
// its connection and is logged.
using Handler = std::function<net::Task<>(net::Stream)>;

// Builds the handler in the worker, after fork: what it opens belongs to that process alone. What
// it throws is the reason why the worker did not start.
using MakeHandler = std::function<Handler(Worker&)>;

// One process of a pre-forked server: an event loop that takes connections as its siblings do, and
// runs a coroutine for each. Made by Prefork in the child; for its one thread.
//
// It takes these signals from its master (or from whoever asks): QUIT: drain, giving idle
// connections to another worker; TERM: drain, closing them; INT: end now; USR1: reopen the logs;
// USR2: look at the listeners again, because a sibling that was woken for a connection died before
// it took it, or because it has others now; ABRT: write where it is into the log, and die. When the
// master dies it ends at once.
class Worker {
 public:
  struct Parts {                                     // what the master made for it
    std::vector<std::vector<net::Listener*>> doors;  // of each address: its listening sockets
    // What takes connections out of them.
    std::function<std::unique_ptr<detail::Acceptor>(Loop&, detail::Intake&)> make_acceptor;
    ipc::Channel& give;  // idle connections go in here,
    ipc::Channel& take;  // and come out there, in a worker that does not drain
    proc::Scoreboard& board;
    proc::WorkerSlot& slot;
    const std::function<std::shared_ptr<spdlog::logger>()>& make_logger;
    const std::function<UniqueFd()>& open_crash_log;
    std::string_view refusal;  // sent to a client for whom no descriptor is left; may be empty
    unsigned max_connections;
    bool defer_accept;  // who is accepted has spoken
    std::chrono::milliseconds graceful_timeout;
    std::uint64_t max_requests;    // after that it asks for a successor; 0: never
    std::uint64_t max_rss;         // the same in bytes of memory
    bool measures_work;            // in slot.worked
    const SandboxFilter* sandbox;  // null: none
    int successor_bell;            // an eventfd, by which it asks: see slot.wear
  };

  static proc::SignalSet signals();  // what it takes: to be blocked from the moment it is forked

  explicit Worker(Parts parts);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Until it is drained, told to end, or alone. Returns the exit code; throws what make_handler
  // throws.
  int run(const MakeHandler& make_handler, proc::ChildContext& context);

  Loop& loop() noexcept { return loop_; }
  spdlog::logger& log() noexcept { return *log_; }  // another one after each USR1
  proc::WorkerSlot& slot() noexcept { return parts_.slot; }
  const proc::Scoreboard& board() const noexcept { return parts_.board; }

  // Raised when the worker drains: a connection that idles ends its wait for it and is handed over.
  net::Interrupt& drain() noexcept { return drain_; }

  // An answer must be the connection's last, and say so: nobody will be there to take it over, or
  // the worker has drained for half of the graceful time-out and the connection was never idle.
  bool must_close() const noexcept;

  // Gives an idle connection, of which nothing was read that is not answered, to a worker that does
  // not drain. Does not block: what cannot go yet goes before this worker ends. When the whole
  // server ends meanwhile, it comes back to a handler, so that what has arrived on it is answered.
  void hand_over(net::Stream stream);

  // Run at the end of each turn of the loop, before it sleeps; and when the logs are to be
  // reopened.
  void at_turn_end(std::function<void()> call) { at_turn_end_.push_back(std::move(call)); }
  void at_reopen(std::function<void()> call) { at_reopen_.push_back(std::move(call)); }

 private:
  void obey(int signal_number);
  void look_again();
  void pause_for_lack();
  void watch_handed_over();
  void stop_taking();
  void take_handed_over();
  std::size_t share_of_connections();
  bool take_one();
  void begin_connection(UniqueFd socket);
  void start_draining(bool hand_over);
  void take_rest();
  void send_leaving();
  void keep_leaving();
  void reopen_logs();
  static void beat(Loop::Timer& heart, proc::ChildContext& context);
  void end_turn();
  proc::Wear look_for_wear();
  bool full() const noexcept { return room() == 0; }
  std::size_t room() const noexcept {
    return parts_.max_connections -
           std::min<std::size_t>(parts_.max_connections, connections_.size());
  }

  Parts parts_;
  std::shared_ptr<spdlog::logger> log_;
  std::optional<CrashReport> crash_report_;
  proc::ScopedSignalAction no_sigpipe_;  // sendfile(2) knows no MSG_NOSIGNAL
  Loop loop_;
  proc::SignalSource signals_;
  Handler handler_;
  std::vector<std::function<void()>> at_turn_end_;
  std::vector<std::function<void()>> at_reopen_;

  std::unique_ptr<detail::Intake> intake_;
  std::unique_ptr<detail::Acceptor> acceptor_;
  bool accepting_ = false;
  std::unique_ptr<Loop::Watch> taking_;  // also while it is full: they have no other place to go
  Loop::Timer take_again_;
  std::size_t last_total_ = 0;  // the connections of all, when it looked last
  int moments_ = 0;             // for so many it has not changed
  Loop::Timer look_again_;

  UniqueFd statm_;  // /proc/self/statm, if there is a limit of memory
  Deadline::Clock::time_point next_look_at_memory_{};

  bool ended_ = false;
  bool draining_ = false;
  bool hands_over_ = false;
  Deadline patience_ends_ = Deadline::never();
  net::Interrupt drain_;
  std::deque<UniqueFd> leaving_;  // handed over, but not yet taken by the channel
  std::unique_ptr<Loop::Watch> room_;
  Loop::Timer try_leaving_;

  net::TaskGroup connections_;  // last: the tasks use all of the above
};

}  // namespace procpool::models
