// When a child that died is started again: a pure function of its history.
//
//   RestartPolicy policy{.first_delay = 100ms, .longest_delay = 10s, .stable_after = 1s};
//   if (auto delay = policy.delay_after(lives)) start_in(*delay); else give_up();
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>

namespace procpool::proc {

// A value, without clock or state. A life is how long one run of the child lasted, from its start
// to its end (0 if it could not be started). A stable life is one of at least stable_after: it ends
// a series of failures. The first failure of a series is followed by a restart at once, the second
// by one after first_delay, and each further one by one after twice as long, up to longest_delay.
struct RestartPolicy {
  std::chrono::milliseconds first_delay{100};
  std::chrono::milliseconds longest_delay{10'000};
  std::chrono::milliseconds stable_after{1'000};

  // Give up when, within one series, more than `at_most` restarts would fall into `within` of the
  // child's *running* time. Delays do not count: by the clock, a child that fails at once would,
  // after its delay has grown to a minute, never again restart 60 times in 10 minutes, and never be
  // given up.
  struct Intensity {
    int at_most = 0;
    std::chrono::milliseconds within{};
  };
  std::optional<Intensity> intensity{};  // unset: never give up

  // The lives so far, oldest first; the last one has just ended. Nullopt: give up.
  std::optional<std::chrono::milliseconds> delay_after(
      std::span<const std::chrono::milliseconds> lives) const noexcept;

  // How many of the latest lives decide: older ones need not be kept.
  std::size_t memory() const noexcept;
};

}  // namespace procpool::proc
