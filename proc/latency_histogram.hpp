// How long things took: counted in shared memory by one process, and read by others meanwhile.
//
//   LatencyHistogram latency;                        // inside a shared segment
//   latency.observe(85us);                           // its one writer
//   const LatencyCounts counts = latency.counts();   // any process, at any time
//   counts.quantile(0.99);
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace procpool::proc {

// What a histogram has counted. A value.
//
// A bucket holds what took longer than the upper bound of the one before, up to its own. From one
// microsecond to four they are a microsecond wide; from there on, each octave up to 134 seconds is
// divided into four. The last has what took longer than all of these.
struct LatencyCounts {
  static constexpr std::size_t kPerOctave = 4;
  static constexpr int kLargestBits = 27;  // of microseconds
  static constexpr std::size_t kBuckets = kPerOctave * (kLargestBits - 1) + 1;

  static constexpr std::size_t bucket_of(std::chrono::nanoseconds time) noexcept;
  static constexpr std::chrono::microseconds upper_bound(std::size_t bucket) noexcept;

  std::uint64_t count() const noexcept;

  // Which time the part `q`, from 0 to 1, has not exceeded: within a quarter of the truth, or less
  // than a microsecond away from it. Nullopt: nothing was counted.
  std::optional<std::chrono::nanoseconds> quantile(double q) const noexcept;

  // By octaves: the first has what took up to 4 us, each further one what took up to twice as long,
  // the last what took longer than all of these.
  static constexpr std::size_t kOctaves = kBuckets / kPerOctave + 1;
  static constexpr std::chrono::microseconds upper_bound_of_octave(std::size_t octave) noexcept {
    return std::chrono::microseconds{kPerOctave << octave};
  }
  std::uint64_t count_of_octave(std::size_t octave) const noexcept;

  LatencyCounts& operator+=(const LatencyCounts& other) noexcept;
  bool operator==(const LatencyCounts&) const = default;

  std::array<std::uint64_t, kBuckets> buckets{};
  std::chrono::nanoseconds sum{0};
};

// One writer at a time, any number of readers, no lock: a reader may see a time in the buckets
// that is not yet in the sum.
class LatencyHistogram {
 public:
  void observe(std::chrono::nanoseconds time) noexcept;
  void add(const LatencyCounts& counts) noexcept;
  void reset() noexcept;
  LatencyCounts counts() const noexcept;

 private:
  std::array<std::atomic<std::uint64_t>, LatencyCounts::kBuckets> buckets_{};
  std::atomic<std::int64_t> sum_{0};  // nanoseconds
};

// So that a time which equals a bound is in the bucket that ends there.
constexpr std::size_t LatencyCounts::bucket_of(std::chrono::nanoseconds time) noexcept {
  if (time.count() <= 0) return 0;
  const auto whole = static_cast<std::uint64_t>(time.count() - 1) / 1000;
  if (whole < kPerOctave) return static_cast<std::size_t>(whole);
  const auto bits = static_cast<int>(std::bit_width(whole));
  if (bits > kLargestBits) return kBuckets - 1;
  const std::uint64_t quarter = (whole >> (bits - 3)) % kPerOctave;
  return kPerOctave * static_cast<std::size_t>(bits - 2) + static_cast<std::size_t>(quarter);
}

// Of the last one, which has none, where it begins.
constexpr std::chrono::microseconds LatencyCounts::upper_bound(std::size_t bucket) noexcept {
  const std::size_t next = bucket + 1 < kBuckets ? bucket + 1 : bucket;
  if (next < kPerOctave) return std::chrono::microseconds{next};
  const std::size_t octave = next / kPerOctave - 1;
  return std::chrono::microseconds{(kPerOctave + next % kPerOctave) << octave};
}

}  // namespace procpool::proc
