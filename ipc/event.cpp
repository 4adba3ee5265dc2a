#include "ipc/event.hpp"

#include "ipc/detail/await.hpp"

namespace procpool::ipc {

// Notifies also when it is set already: whoever did that may have died before its notification.
void Event::set() noexcept {
  std::uint32_t state = state_.load();
  while ((state & kSet) == 0 && !state_.compare_exchange_weak(state, (state + kOneMore) | kSet)) {
  }
  changes_.notify_all();
}

void Event::clear() noexcept {
  state_.fetch_and(~kSet);
}

bool Event::wait_until(Deadline deadline) {
  const std::uint32_t before = state_.load();
  return detail::await(changes_, deadline, [&](bool) {
    const std::uint32_t now = state_.load();
    return (now & kSet) != 0 || (now & ~kSet) != (before & ~kSet);
  });
}

}  // namespace procpool::ipc
