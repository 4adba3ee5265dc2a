// The process's interval timers, setitimer(2), whose signals arrive as data.
//
//   IntervalTimer budget{IntervalTimer::Clock::cpu};
//   budget.set(10s);                                 // of CPU time, of all threads
//   ... when budget.fd() is readable:
//   if (budget.try_take()) too_much();
#pragma once

#include <sys/types.h>

#include <chrono>

#include "proc/signal_source.hpp"

namespace procpool::proc {

// Disarmed when its scope ends; no signal is left then that could be fatal. A process has one of
// each clock, and the real one is alarm(2)'s (Alarm), too. For time that passes prefer Timer, of
// which there may be any number; only here is time that the process itself spends. What
// SignalSource says of threads holds. A child of fork has none, and its calls throw Error; exec
// keeps them.
class IntervalTimer {
 public:
  enum class Clock {
    real,  // time that passes: SIGALRM
    user,  // CPU time in user mode: SIGVTALRM
    cpu,   // CPU time in both modes: SIGPROF
  };

  // Not set. Throws Error when the process has set this one already.
  explicit IntervalTimer(Clock clock);
  IntervalTimer(const IntervalTimer&) = delete;
  IntervalTimer& operator=(const IntervalTimer&) = delete;
  ~IntervalTimer();

  // Fires after `first`, then after each interval; zero: once. Microseconds, rounded up. Throws
  // Error: `first` is not longer than nothing, the interval is shorter.
  void set(std::chrono::nanoseconds first, std::chrono::nanoseconds interval = {});

  void cancel();

  std::chrono::microseconds remaining() const;  // until it fires next; zero: it is not set

  int fd() const noexcept { return signals_.fd(); }  // readable: it has fired

  // It has fired since this was last true. Never blocks. Not how often: standard signals coalesce.
  bool try_take();

 private:
  pid_t made_by_;
  int which_;  // ITIMER_REAL, ...
  SignalSource signals_;
};

}  // namespace procpool::proc
