// The word of one slot of a queue: whose it is, and what for. Pure values.
#pragma once

#include <cstdint>

namespace procpool::ipc::detail {

// Position p of a queue of n slots lies in slot p % n, in its lap p / n. A slot goes through
//
//   free(lap) -> writing(lap, owner) -> ready(lap) -> reading(lap, owner) -> free(lap + 1)
//
// and each step that takes it names its owner. One word may take a range of slots: `count` of them
// from this one on, whose own words nobody looks at until this one changes.
//
//   bits 0-32 lap, modulo 2^33; 33-50 count; 51-60 owner; 61 whole; 62-63 phase
struct Slot {
  enum class Phase : std::uint8_t { free, writing, ready, reading };

  static constexpr unsigned kLapBits = 33;
  static constexpr std::uint64_t kLapMask = (std::uint64_t{1} << kLapBits) - 1;
  static constexpr std::uint64_t kMostCount = (std::uint64_t{1} << 18U) - 1;
  static constexpr std::uint64_t kMostOwner = (std::uint64_t{1} << 10U) - 1;

  std::uint64_t word = 0;

  static constexpr Slot free(std::uint64_t lap) noexcept { return {lap & kLapMask}; }
  static constexpr Slot ready(std::uint64_t lap, std::uint64_t count, bool whole) noexcept {
    return make(Phase::ready, lap, 0, count, whole);
  }
  // No message will come at this position or behind it.
  static constexpr Slot closed(std::uint64_t lap) noexcept { return ready(lap, 0, false); }
  static constexpr Slot taken(Phase phase, std::uint64_t lap, std::uint64_t owner,
                              std::uint64_t count, bool whole) noexcept {
    return make(phase, lap, owner, count, whole);
  }

  constexpr Phase phase() const noexcept { return static_cast<Phase>(word >> 62U); }
  constexpr std::uint64_t owner() const noexcept { return word >> 51U & kMostOwner; }
  constexpr std::uint64_t count() const noexcept { return word >> kLapBits & kMostCount; }
  constexpr std::uint64_t lap() const noexcept { return word & kLapMask; }
  // The range is one message, and not one message a slot.
  constexpr bool whole() const noexcept { return (word >> 61U & 1U) != 0; }
  constexpr std::uint64_t messages() const noexcept { return whole() ? 1 : count(); }
  constexpr bool is_closed() const noexcept { return phase() == Phase::ready && count() == 0; }
  constexpr bool is_taken() const noexcept {
    return phase() == Phase::writing || phase() == Phase::reading;
  }

  // How many laps this slot is ahead of the one asked for: below 0, it is not there yet.
  constexpr std::int64_t ahead_of(std::uint64_t asked) const noexcept {
    return static_cast<std::int64_t>((word - asked) << (64U - kLapBits)) >> (64U - kLapBits);
  }

  friend constexpr bool operator==(Slot, Slot) = default;

 private:
  static constexpr Slot make(Phase phase, std::uint64_t lap, std::uint64_t owner,
                             std::uint64_t count, bool whole) noexcept {
    return {(lap & kLapMask) | count << kLapBits | owner << 51U |
            static_cast<std::uint64_t>(whole) << 61U | static_cast<std::uint64_t>(phase) << 62U};
  }
};

}  // namespace procpool::ipc::detail
