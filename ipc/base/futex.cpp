#include "ipc/base/futex.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "ipc/base/error.hpp"

namespace procpool {
namespace {

static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

timespec to_timespec(Deadline deadline) {
  const auto since_boot = deadline.time().time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_boot);
  return {.tv_sec = seconds.count(), .tv_nsec = (since_boot - seconds).count()};
}

}  // namespace

void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected, Deadline deadline) {
  // FUTEX_WAIT_BITSET takes the moment, and no length that a signal would start anew.
  const timespec time = to_timespec(deadline);
  const long result =
      ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, expected,
                deadline.is_never() ? nullptr : &time, nullptr, FUTEX_BITSET_MATCH_ANY);
  if (result == 0 || errno == EAGAIN || errno == EINTR || errno == ETIMEDOUT) return;
  throw_errno("futex", "wait");
}

int futex_wake(const std::atomic<std::uint32_t>& word, int count) noexcept {
  const long woken = ::syscall(SYS_futex, &word, FUTEX_WAKE, count, nullptr, nullptr, 0);
  return woken < 0 ? 0 : static_cast<int>(woken);  // the memory is gone: nobody sleeps there
}

}  // namespace procpool
