#include "ipc/mutex.hpp"

#include <algorithm>
#include <cerrno>

#include "ipc/base/error.hpp"

namespace procpool::ipc {
namespace {

void check(const char* operation, int error) {
  if (error != 0) throw_errno(operation, "mutex", error);
}

timespec to_timespec(Deadline deadline) {
  const auto since_boot = deadline.time().time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_boot);
  return {.tv_sec = seconds.count(), .tv_nsec = (since_boot - seconds).count()};
}

}  // namespace

Mutex::Mutex() {
  pthread_mutexattr_t attributes;
  check("initialise", ::pthread_mutexattr_init(&attributes));
  check("initialise", ::pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK));
  check("initialise", ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED));
  check("initialise", ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST));
  check("initialise", ::pthread_mutex_init(&mutex_, &attributes));
  ::pthread_mutexattr_destroy(&attributes);
}

void Mutex::lock() {
  try_lock_by(Deadline::never());
}

bool Mutex::try_lock() {
  return acquired(::pthread_mutex_trylock(&mutex_));
}

// A wake-up can be lost: its waiter is killed after it was woken, and a third process takes the
// lock before the dead one is noticed, without knowing that there are more waiters (so in Linux up
// to 6.18, handle_futex_death). The others then sleep beside a free lock, so nobody sleeps long.
bool Mutex::try_lock_by(Deadline deadline) {
  if (try_lock()) return true;  // without a look at the clock, which costs as much as the lock
  for (;;) {
    const Deadline next_look = std::min(deadline, Deadline::in(kLongestSleep));
    const timespec time = to_timespec(next_look);
    if (acquired(::pthread_mutex_clocklock(&mutex_, CLOCK_MONOTONIC, &time))) return true;
    if (deadline.expired()) return false;
  }
}

void Mutex::unlock() {
  check("unlock", ::pthread_mutex_unlock(&mutex_));
}

bool Mutex::acquired(int result) {
  switch (result) {
    case 0:
      if (took_over_) took_over_ = false;  // of the owner before
      return true;
    case EOWNERDEAD:
      // Whoever is killed before the lock is consistent leaves it to the next one as it was.
      took_over_ = true;
      takeovers_.fetch_add(1, std::memory_order_relaxed);
      check("recover", ::pthread_mutex_consistent(&mutex_));
      return true;
    case EBUSY:
    case ETIMEDOUT:
      return false;
    default:
      throw_errno("lock", "mutex", result);
  }
}

}  // namespace procpool::ipc
