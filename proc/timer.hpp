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

  // Once, at the deadline: at once if it has passed. never() cancels.
  void set(Deadline deadline);

  // Again and again, first after one interval. Throws Error unless it is longer than nothing.
  void every(std::chrono::nanoseconds interval);

  // Also forgets expirations that were not taken yet.
  void cancel();

  int fd() const noexcept { return fd_.fd(); }  // readable: an expiration has not been taken

  // How often it fired since it was set or last taken; 0: not yet. Never blocks.
  std::uint64_t try_take();

 private:
  UniqueFd fd_;
};

}  // namespace procpool::proc
