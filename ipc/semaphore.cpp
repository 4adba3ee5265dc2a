#include "ipc/semaphore.hpp"

#include <cerrno>

#include "ipc/base/error.hpp"
#include "ipc/detail/await.hpp"

namespace procpool::ipc {

Semaphore::Semaphore(std::uint32_t value) : value_{value} {
  if (value > kMost) throw_errno("make", "semaphore", EINVAL);
}

void Semaphore::release(std::uint32_t count) {
  std::uint32_t value = value_.load();
  do {
    if (value > kMost || count > kMost - value) throw_errno("release", "semaphore", EOVERFLOW);
  } while (!value_.compare_exchange_weak(value, value + count));
  if (count == 1) {
    released_.notify_one();
  } else {
    released_.notify_all();
  }
}

bool Semaphore::try_acquire() noexcept {
  std::uint32_t value = value_.load();
  while (value > 0) {
    if (value_.compare_exchange_weak(value, value - 1)) return true;
  }
  return false;
}

bool Semaphore::acquire_by(Deadline deadline) {
  return detail::await(released_, deadline, [&](bool) { return try_acquire(); });
}

}  // namespace procpool::ipc
