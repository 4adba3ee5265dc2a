// How long is waited for a server, and what ends a wait before that.
//
//   Interrupts interrupts;                               // Ctrl-C is data from here on
//   const Waiting waiting{30s, &interrupts};
//   waiting.for_events(fd, POLLIN, "read", "host");      // throws Interrupted, Failure (timed_out)
#pragma once

#include <chrono>
#include <string_view>

#include "ipc/base/deadline.hpp"
#include "proc/signal_source.hpp"

namespace procpool::ftp_client {

// SIGINT as data. One for a program, made before there are threads.
class Interrupts {
 public:
  int fd() const noexcept { return signals_.fd(); }  // readable: take() is true
  bool take();                                       // true: there was one since the last call

 private:
  proc::SignalSource signals_{{SIGINT}};
};

// A value. Each wait may last as long as the time-out.
class Waiting {
 public:
  explicit Waiting(std::chrono::milliseconds timeout, Interrupts* interrupts = nullptr)
      : timeout_{timeout}, interrupts_{interrupts} {}

  // Until one of the events of poll(2), or an error, is there. Throws Failure: timed_out, naming
  // the operation and the object; Interrupted.
  void for_events(int fd, short events, std::string_view operation, std::string_view object) const;
  void for_events(int fd, short events, Deadline deadline, std::string_view operation,
                  std::string_view object) const;

  // False: the deadline came first. Throws Interrupted.
  bool ready_by(int fd, short events, Deadline deadline) const;

  void until(Deadline deadline) const { ready_by(-1, 0, deadline); }  // throws Interrupted

  std::chrono::milliseconds timeout() const noexcept { return timeout_; }
  Deadline deadline() const { return Deadline::in(timeout_); }

 private:
  std::chrono::milliseconds timeout_;
  Interrupts* interrupts_;
};

}  // namespace procpool::ftp_client
