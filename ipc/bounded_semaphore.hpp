// A number of permits, each held by a process, and given back by its death.
//
//   struct Limits { ipc::BoundedSemaphore downloads{4}; };
//   ipc::Shared<Limits> limits;
//   limits->downloads.acquire();
//   download(url);                      // killed here: the permit is somebody else's soon
//   limits->downloads.release();
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ipc/base/deadline.hpp"
#include "ipc/base/event_count.hpp"
#include "ipc/detail/deadline_of.hpp"

namespace procpool::ipc {

// A semaphore between processes that lies in shared memory. It starts at its maximum. A permit
// belongs to the process that acquired it, any thread of which may release it; a process may hold
// several. When it ends with permits, killed at any instruction or not, those who wait have them
// within kLongestSleep (event_count.hpp), whoever comes later at once. A stopped process (SIGSTOP)
// keeps them, and so does one that executes another program, until that ends. A child of fork holds
// none of its parent's. All of its users must be in one pid namespace.
class BoundedSemaphore {
 public:
  static constexpr std::uint32_t kMost = 256;  // permits

  explicit BoundedSemaphore(std::uint32_t maximum = 1);  // throws Error EINVAL: 0, or above kMost
  BoundedSemaphore(const BoundedSemaphore&) = delete;
  BoundedSemaphore& operator=(const BoundedSemaphore&) = delete;
  ~BoundedSemaphore() = default;

  // Blocks until there is a permit, and takes it. In no order among those who wait.
  void acquire() { acquire_by(Deadline::never()); }

  // False: all are held by the living. Never blocks; a refusal costs some system calls for each
  // holder.
  bool try_acquire() { return take(true); }

  // False: there was none until the time came.
  template <typename Rep, typename Period>
  bool try_acquire_for(std::chrono::duration<Rep, Period> time) {
    return acquire_by(detail::deadline_of(time));
  }
  template <typename Clock, typename Duration>
  bool try_acquire_until(std::chrono::time_point<Clock, Duration> time) {
    return acquire_by(detail::deadline_of(time));
  }
  bool try_acquire_until(Deadline deadline) { return acquire_by(deadline); }

  // Gives back one permit of this process. Throws Error EPERM when it holds none.
  void release();

  std::uint32_t maximum() const noexcept;

  // The permits that are free at this moment. Those of the dead are not, before somebody wants one.
  std::uint32_t value() const noexcept;

  // How many permits were taken back from the dead. May be read by anybody at any time.
  std::uint64_t takeovers() const noexcept { return takeovers_.load(std::memory_order_relaxed); }

 private:
  bool acquire_by(Deadline deadline);
  bool take(bool ask);
  std::span<std::atomic<std::uint64_t>> permits() noexcept;

  std::uint32_t maximum_;
  EventCount released_;
  std::atomic<std::uint64_t> takeovers_ = 0;
  std::array<std::atomic<std::uint64_t>, kMost> permits_{};  // an Owner each; 0: free
};

}  // namespace procpool::ipc
