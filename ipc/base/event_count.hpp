// Waiting in shared memory for a condition that others make true.
//
//   for (;;) {                                          // who waits
//     const auto seen = changes.prepare();
//     if (is_true() || deadline.expired()) break;
//     changes.wait(seen, deadline);
//   }
//   make_it_true(); changes.notify_one();               // who makes it true
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "ipc/base/deadline.hpp"

namespace procpool {

// No wait within the toolkit is longer than this before it looks again: a wake-up can be lost with
// a process that is killed between its change and its notification, or after it was woken instead
// of another. So a waiter wakes 20 times a second at most, and misses nothing for longer.
inline constexpr std::chrono::milliseconds kLongestSleep{50};

// A word that lies in shared memory: zero is its first state. A condition's change must be made by
// a sequentially consistent read-modify-write (or be followed by such a fence) before it is
// notified. Whoever dies in any of these functions, waiting or notifying, costs the others one
// kLongestSleep at most. For all threads and processes.
class EventCount {
 public:
  // Before the condition is looked at: from here on, no notification is missed.
  std::uint32_t prepare() noexcept { return word_.fetch_or(kSleepers) | kSleepers; }

  // After it was found false: sleeps until a notification that came after prepare(), the deadline
  // or kLongestSleep. May return for no reason: the caller looks again. Throws Error.
  void wait(std::uint32_t seen, Deadline deadline);

  // Wakes up to `count` of those who sleep. Costs a load when nobody does.
  void notify(std::size_t count) noexcept {
    if ((word_.load() & kSleepers) != 0) wake(count);
  }
  void notify_one() noexcept { notify(1); }
  void notify_all() noexcept { notify(std::numeric_limits<std::size_t>::max()); }

 private:
  static constexpr std::uint32_t kSleepers = 1;  // there may be some
  static constexpr std::uint32_t kNotification = 2;

  void wake(std::size_t count) noexcept;

  std::atomic<std::uint32_t> word_ = 0;
};

}  // namespace procpool
