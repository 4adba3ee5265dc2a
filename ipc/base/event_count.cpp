#include "ipc/base/event_count.hpp"

#include <algorithm>

#include "ipc/base/futex.hpp"

namespace procpool {

void EventCount::wait(std::uint32_t seen, Deadline deadline) {
  futex_wait(word_, seen, std::min(deadline, Deadline::in(kLongestSleep)));
}

void EventCount::notify_all() noexcept {
  if ((word_.load() & kSleepers) != 0) wake(kEverybody);
}

// Whoever prepares to wait while the flag is taken away finds another word than it has seen, and
// does not sleep.
void EventCount::wake(int count) noexcept {
  std::uint32_t notified = word_.fetch_add(kNotification) + kNotification;
  if (futex_wake(word_, count) < count) {
    word_.compare_exchange_strong(notified, notified & ~kSleepers);
  }
}

}  // namespace procpool
