#include "proc/future.hpp"

#include <poll.h>

#include "ipc/base/event_count.hpp"
#include "ipc/base/io.hpp"

namespace procpool::proc::detail {

bool drive_until(std::span<const std::shared_ptr<Scheduler>> schedulers,
                 const std::function<bool()>& condition, Deadline deadline) {
  if (schedulers.size() == 1) return schedulers.front()->drive_until(condition, deadline);
  std::vector<pollfd> descriptors;
  for (const auto& scheduler : schedulers) descriptors.push_back({scheduler->fd(), POLLIN, 0});
  for (;;) {
    for (const auto& scheduler : schedulers) scheduler->step();
    if (condition()) return true;
    if (deadline.expired()) return false;
    const Deadline next = std::min(deadline, Deadline::in(kLongestSleep));
    retry_eintr(
        [&] { return ::poll(descriptors.data(), descriptors.size(), next.poll_timeout()); });
  }
}

}  // namespace procpool::proc::detail
