// A number that is counted down by those who take and up by those who give.
//
//   struct Ring { ipc::Semaphore filled; ipc::Semaphore free{16}; ... };
//   ring->free.acquire(); put(item); ring->filled.release();           // who gives
//   if (ring->filled.try_acquire_for(1s)) take();                      // who takes
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "ipc/base/deadline.hpp"
#include "ipc/base/event_count.hpp"
#include "ipc/detail/deadline_of.hpp"

namespace procpool::ipc {

// A counting semaphore between processes and threads, with the names of std::counting_semaphore,
// that lies in shared memory. What was acquired is owned by nobody: anybody may release, and what a
// killed process had acquired is gone. When it should come back, take a BoundedSemaphore.
//
// A process killed at any instruction leaves it whole: its acquire() or release() has happened or
// has not. A wake-up that is lost with it costs the others kLongestSleep (event_count.hpp) at most.
class Semaphore {
 public:
  static constexpr std::uint32_t kMost = 0x7fffffff;  // as SEM_VALUE_MAX of sem_post(3)

  explicit Semaphore(std::uint32_t value = 0);  // throws Error EINVAL above kMost
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;
  ~Semaphore() = default;

  // Adds `count`, in one step. Throws Error EOVERFLOW, and adds nothing, if that were above kMost.
  void release(std::uint32_t count = 1);

  // Blocks until the value is above zero, and takes one off. In no order among those who wait.
  void acquire() { acquire_by(Deadline::never()); }

  bool try_acquire() noexcept;  // false: it is zero; never blocks

  // False: it was zero until the time came.
  template <typename Rep, typename Period>
  bool try_acquire_for(std::chrono::duration<Rep, Period> time) {
    return acquire_by(detail::deadline_of(time));
  }
  template <typename Clock, typename Duration>
  bool try_acquire_until(std::chrono::time_point<Clock, Duration> time) {
    return acquire_by(detail::deadline_of(time));
  }
  bool try_acquire_until(Deadline deadline) { return acquire_by(deadline); }

  // At this moment.
  std::uint32_t value() const noexcept { return value_.load(); }

 private:
  bool acquire_by(Deadline deadline);

  std::atomic<std::uint32_t> value_;
  EventCount released_;
};

}  // namespace procpool::ipc
