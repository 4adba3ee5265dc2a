// For facts of the kernel that no event tells of.
//
//   EXPECT_TRUE(eventually([&] { return state_of(child) == 'T'; }));
#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <thread>

#include "ipc/base/deadline.hpp"

namespace procpool::test {

// How long anything may take that is expected to happen, on the slowest machine.
inline constexpr std::chrono::seconds kPatience{20};

// Asks again and again, ever less often, until the predicate holds. False: it never did.
template <std::predicate Predicate>
bool eventually(Predicate predicate, Deadline deadline = Deadline::in(kPatience)) {
  constexpr std::chrono::milliseconds kLongestPause{20};
  for (std::chrono::microseconds pause{50};;
       pause = std::min<std::chrono::microseconds>(pause * 2, kLongestPause)) {
    if (predicate()) return true;
    if (deadline.expired()) return false;
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace procpool::test
