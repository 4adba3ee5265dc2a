#include "ipc/once.hpp"

#include <cerrno>

#include "ipc/base/error.hpp"
#include "ipc/detail/await.hpp"

namespace procpool::ipc {

bool Once::try_begin(bool ask) {
  std::uint64_t state = state_.load();
  if (state == kDone) return false;
  const Owner runner{state};
  const Owner me = Owner::this_thread();
  if (runner == me) throw_errno("call", "once", EDEADLK);
  if (runner == kNobody) {
    return state_.compare_exchange_strong(state, me.word() | (state & kTakenOver));
  }
  return ask && runner.thread_is_dead() &&
         state_.compare_exchange_strong(state, me.word() | kTakenOver);
}

bool Once::begin() {
  bool mine = false;
  detail::await(changes_, Deadline::never(),
                [&](bool ask) { return is_done() || (mine = try_begin(ask)); });
  return mine;
}

void Once::fail() noexcept {
  state_.fetch_and(kTakenOver);
  changes_.notify_one();
}

void Once::finish() noexcept {
  state_.exchange(kDone);
  changes_.notify_all();
}

}  // namespace procpool::ipc
