// Sleeping on a word of shared memory until another process says that it has changed.
//
//   while (word.load() == seen) futex_wait(word, seen, deadline);
//   word.store(next);
//   futex_wake(word, kEverybody);
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

#include "ipc/base/deadline.hpp"

namespace procpool {

inline constexpr int kEverybody = std::numeric_limits<int>::max();

// Sleeps while the word has the value `expected`, until somebody wakes it, a signal comes, or the
// deadline. May return for no reason: the caller looks again. Between processes (not
// FUTEX_PRIVATE_FLAG). futex(2). Throws Error (EFAULT: the memory is not mapped).
void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected, Deadline deadline);

// Wakes up to `count` of those who sleep on the word; returns how many.
int futex_wake(const std::atomic<std::uint32_t>& word, int count) noexcept;

// Tells the processor that this is a loop that waits for another one.
inline void spin_pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Asks for the cache line as its only owner, before it is written: what comes of it is only time.
// The compiler's __builtin_prefetch asks for a copy to read on x86-64, unless it is built for newer
// ones; older ones take the instruction for none.
inline void prefetch_to_write(const void* line) noexcept {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(line)));
#else
  __builtin_prefetch(line, 1);
#endif
}

}  // namespace procpool
