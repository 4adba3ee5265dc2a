#include "ipc/mutex.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>

#include "ipc/base/error.hpp"
#include "ipc/base/event_count.hpp"
#include "ipc/base/futex.hpp"

namespace procpool::ipc {
namespace {

// How long an owner that runs on another processor is waited for awake: about as long as a sleep
// and a wake-up would cost.
constexpr int kSpins = 100;

// After the first sleep the owner is asked for its death, which costs more than such a sleep; so
// those who are only slow are not, and a dead one is not waited for in full.
constexpr std::chrono::milliseconds kFirstSleep{2};

// The half that holds the id and the flags, which is all that changes under a sleeper.
const std::atomic<std::uint32_t>& lower_half(const std::atomic<std::uint64_t>& word) {
  static_assert(std::endian::native == std::endian::little);
  return reinterpret_cast<const std::atomic<std::uint32_t>&>(word);
}

}  // namespace

// In one step, so that whoever is killed after it leaves a lock that says whose it was.
bool Mutex::take_over() {
  std::uint64_t word = word_.load(std::memory_order_relaxed);
  if (word == 0) return acquire();
  const Owner me = Owner::this_thread();
  if (Owner{word} == me) throw_errno("lock", "mutex", EDEADLK);
  if (!Owner{word}.thread_is_dead()) return false;
  const std::uint64_t taken = me.word() | kTakenOver | (word & kWaiters);
  if (!word_.compare_exchange_strong(word, taken, std::memory_order_acquire)) return false;
  takeovers_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

// Whoever has slept takes the lock with kWaiters: others may sleep that it does not know of.
bool Mutex::lock_by(Deadline deadline) {
  for (int i = 0; i < kSpins; ++i) {
    if (word_.load(std::memory_order_relaxed) == 0 && acquire()) return true;
    spin_pause();
  }
  std::chrono::milliseconds sleep = kFirstSleep;
  for (;;) {
    std::uint64_t word = word_.load(std::memory_order_relaxed);
    if (word == 0) {
      if (acquire(kWaiters)) return true;
      continue;
    }
    if (Owner{word} == Owner::this_thread()) throw_errno("lock", "mutex", EDEADLK);
    if ((word & kWaiters) == 0 &&
        !word_.compare_exchange_weak(word, word | kWaiters, std::memory_order_relaxed)) {
      continue;
    }
    word |= kWaiters;
    futex_wait(lower_half(word_), static_cast<std::uint32_t>(word),
               std::min(deadline, Deadline::in(sleep)));
    sleep = kLongestSleep;
    if (word_.load(std::memory_order_relaxed) == word && take_over()) return true;
    if (deadline.expired()) return acquire(kWaiters);
  }
}

void Mutex::wake_next() noexcept {
  futex_wake(lower_half(word_), 1);
}

void Mutex::refuse_unlock() {
  throw_errno("unlock", "mutex", EPERM);
}

}  // namespace procpool::ipc
