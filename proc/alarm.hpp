// The process's one alarm clock, alarm(2), whose SIGALRM arrives as data.
//
//   Alarm alarm{30s};
//   ... when alarm.fd() is readable:
//   if (alarm.try_take()) give_up();
#pragma once

#include <sys/types.h>

#include <chrono>

#include "proc/signal_source.hpp"

namespace procpool::proc {

// Rings once, after whole seconds, unless its scope ends before: then there is no alarm, and no
// SIGALRM is left that could be fatal. A process has one, which setitimer(2) shares
// (IntervalTimer): it is for programs that need SIGALRM itself; any number of Timers disturb
// nobody. What SignalSource says of threads holds. A child of fork has no alarm, and its calls
// throw Error; exec keeps it.
class Alarm {
 public:
  // Throws Error: unless it is 1 s or longer, or when an alarm is set already.
  explicit Alarm(std::chrono::seconds after);
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;
  ~Alarm();

  int fd() const noexcept { return signals_.fd(); }  // readable: it has rung

  bool try_take();  // it has rung, and nobody has taken it yet. Never blocks

 private:
  pid_t made_by_;
  SignalSource signals_;
};

}  // namespace procpool::proc
