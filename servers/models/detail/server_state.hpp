// What the parts of a Server know of each other.
//
//   StopSignals signals{loop, server};                  // in the thread that called run()
//   StopWatch stop{loop, server, server.stop.fd(), [&] { reception.close(); }};
//   while (!stop.over()) loop.run_once(Deadline::never());
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "ipc/base/loop.hpp"
#include "ipc/base/unique_fd.hpp"
#include "proc/signal_action.hpp"
#include "proc/signal_source.hpp"
#include "servers/models/server.hpp"
#include "servers/net/interrupt.hpp"

namespace procpool::models::detail {

// For all threads of the server.
struct ServerState {
  explicit ServerState(ServerOptions its_options);  // throws Error

  void complain(const std::string& problem);
  void count_failure(std::string_view client, std::string_view problem);

  const ServerOptions options;
  Statistics own_statistics;
  Statistics& statistics;
  const UniqueFd stop;      // eventfds: readable from that moment on
  const UniqueFd stop_now;  // implies the other

 private:
  std::mutex log_mutex_;
  std::shared_ptr<spdlog::logger> log_;
};

// A connection that is served, or a datagram that is answered, for as long as this object lives.
class CountActive {
 public:
  explicit CountActive(Statistics& statistics) noexcept : statistics_{statistics} {
    statistics_.accepted.fetch_add(1, std::memory_order_relaxed);
    statistics_.active.fetch_add(1, std::memory_order_relaxed);
  }
  CountActive(const CountActive&) = delete;
  CountActive& operator=(const CountActive&) = delete;
  ~CountActive() { statistics_.active.fetch_sub(1, std::memory_order_relaxed); }

 private:
  Statistics& statistics_;
};

// The client's address, for logs.
std::string client_of(int connection);

std::string text_of(std::exception_ptr problem);

// Where a loop hears that its server stops. Of the loop's thread.
class StopWatch {
 public:
  // `stop_fd` is readable when the server stops: server.stop, or what follows it.
  StopWatch(Loop& loop, ServerState& server, int stop_fd, std::function<void()> on_stop = {});

  net::Interrupt& interrupt() noexcept { return interrupt_; }  // raised after on_stop
  bool raised() const noexcept { return interrupt_.raised(); }
  bool over() const noexcept { return over_; }  // what is under way is to be given up

 private:
  void begin();

  Loop& loop_;
  ServerState& server_;
  std::function<void()> on_stop_;
  net::Interrupt interrupt_;
  bool over_ = false;
  Loop::Timer patience_;
  std::optional<Loop::Watch> watch_;
};

// SIGTERM and its kin, as stops.
class StopSignals {
 public:
  explicit StopSignals(ServerState& server);
  StopSignals(Loop& loop, ServerState& server);  // obeys in this loop
  void obey();                                   // those that have arrived

 private:
  ServerState& server_;
  bool stopping_ = false;
  proc::ScopedSignalAction no_sigpipe_;
  proc::SignalSource signals_;
  std::optional<Loop::Watch> watch_;
};

// While a connection is served, it comes to its end when the server stops.
class EndAtStop final : private net::Interrupt::Waiter {
 public:
  EndAtStop(net::Interrupt& stop, int socket);
  EndAtStop(const EndAtStop&) = delete;
  EndAtStop& operator=(const EndAtStop&) = delete;
  ~EndAtStop() = default;

 private:
  void interrupted() override;
  int socket_;
};

}  // namespace procpool::models::detail
