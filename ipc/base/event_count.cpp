#include "ipc/base/event_count.hpp"

#include <algorithm>

#include "ipc/base/futex.hpp"

namespace procpool {

void EventCount::wait(std::uint32_t seen, Deadline deadline) {
  futex_wait(word_, seen, std::min(deadline, Deadline::in(kLongestSleep)));
}

// Whoever prepares to wait while the flag is taken away finds another word than it has seen, and
// does not sleep.
void EventCount::wake(std::size_t count) noexcept {
  const int most = static_cast<int>(std::min<std::size_t>(count, kEverybody));
  std::uint32_t notified = word_.fetch_add(kNotification) + kNotification;
  if (futex_wake(word_, most) < most) {
    word_.compare_exchange_strong(notified, notified & ~kSleepers);
  }
}

}  // namespace procpool
