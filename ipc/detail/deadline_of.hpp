// The Deadline that the standard's durations and time points mean.
//
//   deadline_of(50ms), deadline_of(std::chrono::system_clock::now() + 1h)
#pragma once

#include <chrono>

#include "ipc/base/deadline.hpp"

namespace procpool::ipc::detail {

// From now on; rounded up. One too long for the clock is never, one below zero is now.
template <typename Rep, typename Period>
Deadline deadline_of(std::chrono::duration<Rep, Period> time) {
  using Length = Deadline::Clock::duration;
  if (time <= time.zero()) return Deadline::now();
  if (time >= std::chrono::duration<double>{Length::max()}) return Deadline::never();
  return Deadline::in(std::chrono::ceil<Length>(time));
}

// Its clock is read once: a wall clock that is set later changes nothing.
template <typename Clock, typename Duration>
Deadline deadline_of(std::chrono::time_point<Clock, Duration> time) {
  const auto now = Clock::now();
  return time <= now ? Deadline::now() : deadline_of(time - now);
}

}  // namespace procpool::ipc::detail
