#include "ipc/bounded_semaphore.hpp"

#include <algorithm>
#include <cerrno>

#include "ipc/base/error.hpp"
#include "ipc/base/owner.hpp"
#include "ipc/detail/await.hpp"
#include "ipc/detail/owner_slots.hpp"

namespace procpool::ipc {

BoundedSemaphore::BoundedSemaphore(std::uint32_t maximum) : maximum_{maximum} {
  if (maximum == 0 || maximum > kMost) throw_errno("make", "bounded semaphore", EINVAL);
}

// What another process may have overwritten leads out of the array nowhere.
std::uint32_t BoundedSemaphore::maximum() const noexcept {
  return std::clamp(maximum_, std::uint32_t{1}, kMost);
}

std::span<std::atomic<std::uint64_t>> BoundedSemaphore::permits() noexcept {
  return std::span{permits_}.first(maximum());
}

std::uint32_t BoundedSemaphore::value() const noexcept {
  const auto permits = std::span{permits_}.first(maximum());
  return static_cast<std::uint32_t>(
      std::count_if(permits.begin(), permits.end(), [](auto& permit) { return permit == 0; }));
}

bool BoundedSemaphore::take(bool ask) {
  const Owner me = Owner::this_process();
  if (detail::take_slot(permits(), me)) return true;
  if (!ask) return false;
  const std::size_t freed = detail::free_dead_slots(permits(), &Owner::process_is_dead);
  if (freed == 0) return false;
  takeovers_.fetch_add(freed, std::memory_order_relaxed);
  released_.notify_all();
  return detail::take_slot(permits(), me);
}

bool BoundedSemaphore::acquire_by(Deadline deadline) {
  return detail::await(released_, deadline, [&](bool ask) { return take(ask); });
}

void BoundedSemaphore::release() {
  if (!detail::give_back_slot(permits(), Owner::this_process())) {
    throw_errno("release", "bounded semaphore", EPERM);
  }
  released_.notify_one();
}

}  // namespace procpool::ipc
