// Where a fixed number of processes wait for each other.
//
//   struct Plan { ipc::Barrier barrier{4}; ... };
//   plan->barrier.attach();                                  // each of the four, once
//   while (more_rounds()) { compute(); if (!plan->barrier.wait()) return told_of_a_death(); }
//   plan->barrier.detach();
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "ipc/base/deadline.hpp"
#include "ipc/base/event_count.hpp"
#include "ipc/base/owner.hpp"
#include "ipc/detail/deadline_of.hpp"

namespace procpool::ipc {

// As Python's multiprocessing.Barrier, for processes and threads, in shared memory; but its parties
// attach, so that it knows whom it waits for. A round ends when as many have arrived as there are
// parties; all of them go on then, and the next round begins.
//
// It is broken by a party that dies after it attached and before it arrived (at any instruction),
// by one that ends without detaching, by a wait that is timed out, by an action that throws or
// whose runner dies, and by abort(). All who wait, or come, are told so until reset(); the death of
// a party is told within kLongestSleep (event_count.hpp). Whoever dies after his arrival has
// arrived, and is missed in the next round. A stopped party (SIGSTOP) is waited for.
class Barrier {
 public:
  static constexpr std::uint32_t kMostParties = 64;

  explicit Barrier(std::uint32_t parties);  // throws Error EINVAL: 0, or above kMostParties
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;
  ~Barrier() = default;

  // Makes the calling thread a party. It takes a free place, or that of a dead party, by which the
  // barrier is broken if it was not yet. Throws Error: EALREADY when it is a party; EBUSY when all
  // places are taken, by the living or by an arrival in a round that goes on.
  void attach();

  // Leaves the place to another one: the others wait for that. Throws Error EPERM when the calling
  // thread is no party.
  void detach();

  // Blocks until all have arrived. Returns the place in the order of arrival, 0 to parties() - 1;
  // nullopt: the barrier is broken, or was reset meanwhile. Throws Error EPERM when the calling
  // thread is no party.
  std::optional<std::uint32_t> wait() { return wait_until(Deadline::never()); }

  // The last to arrive runs its action, before anybody goes on; what the action throws breaks the
  // barrier and is thrown here. All give the same action.
  template <std::invocable Action>
  std::optional<std::uint32_t> wait(Action&& action) {
    return wait_until(Deadline::never(), action);
  }

  // nullopt, too, when the time came: the barrier is broken then.
  template <typename Rep, typename Period>
  std::optional<std::uint32_t> wait_for(std::chrono::duration<Rep, Period> time) {
    return wait_until(detail::deadline_of(time));
  }
  template <typename Rep, typename Period, std::invocable Action>
  std::optional<std::uint32_t> wait_for(std::chrono::duration<Rep, Period> time, Action&& action) {
    return wait_until(detail::deadline_of(time), action);
  }
  template <typename Clock, typename Duration>
  std::optional<std::uint32_t> wait_until(std::chrono::time_point<Clock, Duration> time) {
    return wait_until(detail::deadline_of(time));
  }
  template <typename Clock, typename Duration, std::invocable Action>
  std::optional<std::uint32_t> wait_until(std::chrono::time_point<Clock, Duration> time,
                                          Action&& action) {
    return wait_until(detail::deadline_of(time), action);
  }
  std::optional<std::uint32_t> wait_until(Deadline deadline) {
    return wait_until(deadline, [] {});
  }
  template <std::invocable Action>
  std::optional<std::uint32_t> wait_until(Deadline deadline, Action&& action) {
    const std::optional<Arrival> arrival = arrive();
    if (!arrival) return std::nullopt;
    if (arrival->index + 1 < parties()) return await_the_others(*arrival, deadline);
    try {
      action();
    } catch (...) {
      break_round(arrival->round);
      throw;
    }
    return end_round(*arrival);
  }

  void abort() noexcept;  // breaks it; by anybody, party or not

  // Makes it whole, and the places of dead parties free. Those who wait at this moment are told
  // nullopt. By anybody.
  void reset();

  bool is_broken() const noexcept { return (state_.load() & kBroken) != 0; }
  std::uint32_t parties() const noexcept;
  std::uint32_t waiting() const noexcept;  // how many have arrived in this round; 0 when broken

 private:
  // One word, so that each change of it is one step, before or after which one may die:
  //   bit 0 broken, bits 1-8 how many have arrived, 9-35 the round, 36-62 the last that ended well
  static constexpr std::uint64_t kBroken = 1;
  static constexpr std::uint64_t kOneArrival = 2;
  static constexpr std::uint64_t kRounds = (1U << 27U) - 1;

  struct Arrival {
    std::uint32_t index;
    std::uint64_t round;
  };
  using Places = std::span<std::atomic<std::uint64_t>>;

  static constexpr std::uint32_t arrived_of(std::uint64_t state) {
    return static_cast<std::uint32_t>(state >> 1U & 0xff);
  }
  static constexpr std::uint64_t round_of(std::uint64_t state) { return state >> 9U & kRounds; }
  static constexpr std::uint64_t ended_round_of(std::uint64_t state) {
    return state >> 36U & kRounds;
  }
  static constexpr std::uint64_t state_of(std::uint64_t round, std::uint64_t ended_round) {
    return (round & kRounds) << 9U | ended_round << 36U;
  }

  std::atomic<std::uint64_t>* place_of(Owner party) noexcept;
  bool take_place(std::atomic<std::uint64_t>& place, Owner party);
  bool misses_somebody(std::uint64_t round);
  std::optional<Arrival> arrive();
  std::optional<std::uint32_t> await_the_others(const Arrival& arrival, Deadline deadline);
  std::optional<std::uint32_t> end_round(const Arrival& arrival) noexcept;
  void break_round(std::uint64_t round) noexcept;
  Places places() noexcept;

  std::uint32_t parties_;
  EventCount changes_;
  std::atomic<std::uint64_t> state_ = state_of(1, 0);
  std::array<std::atomic<std::uint64_t>, kMostParties> places_{};  // an Owner each, and a round
};

}  // namespace procpool::ipc
