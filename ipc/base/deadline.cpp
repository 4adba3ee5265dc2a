#include "ipc/base/deadline.hpp"

#include <algorithm>
#include <limits>

namespace procpool {

Deadline::Clock::duration Deadline::remaining() const noexcept {
  if (is_never()) return Clock::duration::max();
  return std::max(time_ - Clock::now(), Clock::duration::zero());
}

int Deadline::poll_timeout() const noexcept {
  if (is_never()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(remaining()).count();
  return static_cast<int>(std::min<long>(left, std::numeric_limits<int>::max()));
}

}  // namespace procpool
