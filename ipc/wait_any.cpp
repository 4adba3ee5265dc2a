#include "ipc/wait_any.hpp"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>

#include "ipc/base/error.hpp"
#include "ipc/base/event_count.hpp"

namespace procpool::ipc {
namespace {

constexpr std::chrono::milliseconds kFirstPause{1};

// Sleeps until a descriptor is readable, or the deadline. A signal ends it, too: the caller looks.
void poll_until(std::vector<pollfd>& descriptors, Deadline deadline) {
  for (pollfd& item : descriptors) item.revents = 0;
  if (::poll(descriptors.data(), descriptors.size(), deadline.poll_timeout()) < 0 &&
      errno != EINTR) {
    throw_errno("poll");
  }
  for (const pollfd& item : descriptors) {
    if ((item.revents & POLLNVAL) != 0) throw_errno("poll", std::to_string(item.fd), EBADF);
  }
}

// What is judged by its descriptor has been polled before.
std::vector<std::size_t> ready_ones(std::span<const Waitable> objects,
                                    const std::vector<pollfd>& descriptors) {
  std::vector<std::size_t> ready;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    if (objects[i].ready ? objects[i].ready() : descriptors[i].revents != 0) ready.push_back(i);
  }
  return ready;
}

}  // namespace

std::vector<std::size_t> wait_any(Deadline deadline, std::span<const Waitable> objects) {
  std::vector<pollfd> descriptors;  // one each; poll(2) passes over a negative one
  descriptors.reserve(objects.size());
  for (const Waitable& object : objects) {
    descriptors.push_back({.fd = object.fd, .events = POLLIN, .revents = 0});
  }
  const bool must_ask =
      std::ranges::any_of(objects, [](const Waitable& object) { return bool{object.ready}; });
  std::chrono::milliseconds pause = kFirstPause;
  for (Deadline awake = Deadline::now();;) {
    poll_until(descriptors, awake);
    auto ready = ready_ones(objects, descriptors);
    if (!ready.empty() || deadline.expired()) return ready;
    awake = must_ask ? std::min(deadline, Deadline::in(pause)) : deadline;
    pause = std::min(pause * 2, kLongestSleep);
    // A descriptor that wakes us for nothing is left out of one sleep, or it would be none.
    for (std::size_t i = 0; i < objects.size(); ++i) {
      descriptors[i].fd = descriptors[i].revents == 0 ? objects[i].fd : -1;
    }
  }
}

}  // namespace procpool::ipc
