// Waiting for several things at once, of whatever kinds they are.
//
//   auto ready = ipc::wait_any(Deadline::in(1s), jobs, channel, child);   // Queue, Channel,
//   Process for (std::size_t index : ready) ...                                   // 0: jobs, 1:
//   channel ... std::vector<ipc::Waitable> many = ...;                                // as many as
//   there are auto first = ipc::wait_any(Deadline::never(), many);
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "ipc/base/deadline.hpp"

namespace procpool::ipc {

template <typename T>
concept HasDescriptor = requires(T& object) {
  { object.fd() } -> std::convertible_to<int>;
};
template <typename T>
concept HasReadiness = requires(T& object) {
  { object.ready() } -> std::convertible_to<bool>;
};

// What can be waited for: something with an fd() that becomes readable, or with a ready() that
// becomes true, or with both; then ready() is the judge, and the descriptor wakes who should ask.
template <typename T>
concept AnyWaitable = HasDescriptor<T> || HasReadiness<T>;

// The same without its type. Owns nothing: the object must live, and stay where it is, as long as
// this is used.
struct Waitable {
  int fd = -1;                       // -1: none
  std::function<bool()> ready = {};  // empty: it is ready when the descriptor is readable
};

template <AnyWaitable T>
Waitable waitable(T& object) {
  Waitable result;
  if constexpr (HasDescriptor<T>) result.fd = object.fd();
  if constexpr (HasReadiness<T>) result.ready = [&object] { return bool{object.ready()}; };
  return result;
}

// Waits until one or more are ready; returns the indices of all that are, in ascending order.
// Empty: none was until the deadline. A descriptor is ready, too, when it has come to its end or
// has an error: whoever uses it next learns which. What was found ready may be taken by another
// process before the caller comes to it, so he takes it by a try_. Descriptors wake at once; all
// ready() are asked again every kLongestSleep besides (event_count.hpp), since whoever should have
// woken may have been killed; without a descriptor that is how a change is noticed at all. For one
// thread. Throws Error: EBADF for a descriptor that is closed; what a ready() throws.
std::vector<std::size_t> wait_any(Deadline deadline, std::span<const Waitable> objects);

template <AnyWaitable... Objects>
  requires(sizeof...(Objects) > 0)
std::vector<std::size_t> wait_any(Deadline deadline, Objects&... objects) {
  const std::array<Waitable, sizeof...(Objects)> erased{waitable(objects)...};
  return wait_any(deadline, std::span<const Waitable>{erased});
}

}  // namespace procpool::ipc
