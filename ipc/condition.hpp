// Waiting under a lock until what it protects is as one wants it.
//
//   struct Stock { ipc::Mutex mutex; ipc::Condition changed; int items = 0; };
//   std::unique_lock lock{stock->mutex};                              // who waits
//   stock->changed.wait(lock, [&] { return stock->items > 0; });
//   { std::scoped_lock lock{stock->mutex}; ++stock->items; }          // who changes it
//   stock->changed.notify_one();
#pragma once

#include <chrono>
#include <concepts>

#include "ipc/base/deadline.hpp"
#include "ipc/base/event_count.hpp"
#include "ipc/detail/deadline_of.hpp"

namespace procpool::ipc {

// A condition variable between processes and threads that lies in shared memory, for any lock: a
// std::unique_lock of Mutex, SharedMutex or RecursiveMutex (locked once), a std::shared_lock, or a
// mutex itself. One condition may be used with several of them.
//
// Waiters and notifiers may be killed at any instruction: a notification that is lost with one of
// them costs the others no more than kLongestSleep (event_count.hpp), after which they look for
// themselves. This is why there are no waits without a predicate.
//
// The lock is given up meanwhile, so its owner may die: the lock's took_over() says so from when it
// is had again until it is given up, so ask within the predicate.
class Condition {
 public:
  Condition() = default;
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;
  ~Condition() = default;

  // Blocks until the predicate is true. It is called with the lock held, which is also held at the
  // end, and when the predicate throws. What it reads must be changed under the lock. Throws Error:
  // EPERM when the lock is not held, or not once.
  template <typename Lock, std::predicate Predicate>
  void wait(Lock& lock, Predicate predicate) {
    wait_until(lock, Deadline::never(), predicate);
  }

  // False: it was false still when the time came. The lock is held then, too, and was waited for as
  // long as that took.
  template <typename Lock, typename Rep, typename Period, std::predicate Predicate>
  bool wait_for(Lock& lock, std::chrono::duration<Rep, Period> time, Predicate predicate) {
    return wait_until(lock, detail::deadline_of(time), predicate);
  }
  template <typename Lock, typename Clock, typename Duration, std::predicate Predicate>
  bool wait_until(Lock& lock, std::chrono::time_point<Clock, Duration> time, Predicate predicate) {
    return wait_until(lock, detail::deadline_of(time), predicate);
  }
  template <typename Lock, std::predicate Predicate>
  bool wait_until(Lock& lock, Deadline deadline, Predicate predicate) {
    if (!can_be_given_up(lock)) refuse_wait();
    while (!predicate()) {
      if (deadline.expired()) return false;
      const auto seen = changes_.prepare();  // under the lock: no change comes in between
      lock.unlock();
      changes_.wait(seen, deadline);
      lock.lock();
    }
    return true;
  }

  // After the change, with the lock or without it.
  void notify_one() noexcept { changes_.notify_one(); }
  void notify_all() noexcept { changes_.notify_all(); }

 private:
  // As far as the lock can tell.
  template <typename Lock>
  static bool can_be_given_up(const Lock& lock) {
    if constexpr (requires { lock.owns_lock() && lock.mutex(); }) {
      return lock.owns_lock() && can_be_given_up(*lock.mutex());
    } else if constexpr (requires { lock.depth(); }) {
      return lock.depth() == 1;
    } else if constexpr (requires { lock.is_mine(); }) {
      return lock.is_mine();
    } else {
      return true;
    }
  }
  [[noreturn]] static void refuse_wait();

  EventCount changes_;
};

}  // namespace procpool::ipc
