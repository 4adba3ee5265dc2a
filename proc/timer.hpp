// A timer that is a descriptor, for any loop and any process.
//
//   Timer timer;
//   timer.set(Deadline::in(200ms));          // or timer.every(1s)
//   ... when timer.fd() is readable:
//   if (timer.try_take() > 0) on_time();
#pragma once

#include <chrono>
#include <cstdint>

#include "ipc/base/deadline.hpp"
#include "ipc/base/unique_fd.hpp"

namespace procpool::proc {

// A timerfd(2) on CLOCK_MONOTONIC, which stands still while the machine sleeps. Close-on-exec,
// non-blocking. After fork parent and child share it: one takes an expiration, the other does not
// see it.
class Timer {
 public:
  Timer();  // not set; throws Error

  void set(Deadline deadline);  // once; a past one fires at once; never() cancels
  void every(
      std::chrono::nanoseconds interval);  // first after one interval; throws Error unless > 0
  void cancel();                           // also forgets expirations not taken yet

  int fd() const noexcept { return fd_.fd(); }  // readable: an expiration has not been taken

  // How often it fired since it was set or last taken; 0: not yet. Never blocks.
  std::uint64_t try_take();

 private:
  UniqueFd fd_;
};

}  // namespace procpool::proc
