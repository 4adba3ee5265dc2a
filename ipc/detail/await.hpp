// How a lock waits for what others give back, or leave behind when they die.
//
//   return await(changes_, deadline, [&](bool ask) { return take() || (ask && take_from_dead());
//   });
#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>

#include "ipc/base/deadline.hpp"
#include "ipc/base/event_count.hpp"
#include "ipc/base/futex.hpp"

namespace procpool::ipc::detail {

// About as long as a sleep and a wake-up cost: those who run on another processor are waited for
// awake.
inline constexpr int kSpins = 50;

// Whoever is dead already is not waited for in full.
inline constexpr std::chrono::milliseconds kFirstLook{2};

// Attempts until it succeeds, anew after each notification; false: the deadline came first.
// `attempt` is told whether it shall ask if those in its way are dead, which costs system calls: so
// first after kFirstLook, then once in kLongestSleep, and at the deadline. What it looks at, it
// must load sequentially consistently.
template <std::predicate<bool> Attempt>
bool await(EventCount& changes, Deadline deadline, Attempt attempt) {
  for (int i = 0; i < kSpins; ++i) {
    if (attempt(false)) return true;
    spin_pause();
  }
  for (Deadline look = Deadline::in(kFirstLook);;) {
    const auto seen = changes.prepare();
    const bool last = deadline.expired();
    const bool ask = last || look.expired();
    if (attempt(ask)) return true;
    if (last) return false;
    if (ask) look = Deadline::in(kLongestSleep);  // from here on: however long the answer took
    changes.wait(seen, std::min(deadline, look));
  }
}

}  // namespace procpool::ipc::detail
