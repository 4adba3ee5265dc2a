// A moment by which something must have happened; every wait takes one.
//
//   auto deadline = Deadline::in(5s);
//   while (!deadline.expired()) { ... poll(fds, n, deadline.poll_timeout()); ... }
#pragma once

#include <chrono>
#include <compare>

namespace procpool {

// A point of the steady clock (CLOCK_MONOTONIC), or never. A value; it means the same in every
// process of a machine until it reboots, and is not changed by setting the wall clock.
class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr Deadline never() noexcept { return Deadline{Clock::time_point::max()}; }
  static Deadline now() noexcept { return Deadline{Clock::now()}; }  // try once, do not wait
  static constexpr Deadline at(Clock::time_point time) noexcept { return Deadline{time}; }

  // A duration too long to be added to the clock is never.
  static Deadline in(Clock::duration from_now) noexcept { return after(Clock::now(), from_now); }
  static constexpr Deadline after(Clock::time_point start, Clock::duration length) noexcept {
    constexpr auto kZero = Clock::duration::zero();
    if (length > kZero && start > Clock::time_point::max() - length) return never();
    return Deadline{start + length};
  }

  constexpr Clock::time_point time() const noexcept { return time_; }
  constexpr bool is_never() const noexcept { return time_ == Clock::time_point::max(); }
  bool expired() const noexcept { return !is_never() && Clock::now() >= time_; }

  // What is left, not below zero; Clock::duration::max() for never.
  Clock::duration remaining() const noexcept;

  // What is left as poll(2) and epoll_wait(2) take it: whole milliseconds, rounded up so that a
  // wait never ends early; -1 for never.
  int poll_timeout() const noexcept;

  constexpr auto operator<=>(const Deadline&) const = default;

 private:
  explicit constexpr Deadline(Clock::time_point time) noexcept : time_{time} {}
  Clock::time_point time_;
};

}  // namespace procpool
