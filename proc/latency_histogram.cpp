#include "proc/latency_histogram.hpp"

#include <algorithm>
#include <numeric>

namespace procpool::proc {
namespace {

using std::chrono::nanoseconds;

// Only the owner adds, so that a load and a store do, without a locked instruction.
template <typename Number>
void add_to(std::atomic<Number>& counter, Number amount) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

}  // namespace

std::uint64_t LatencyCounts::count() const noexcept {
  return std::accumulate(buckets.begin(), buckets.end(), std::uint64_t{0});
}

// As if the times in a bucket were spread evenly over it.
std::optional<nanoseconds> LatencyCounts::quantile(double q) const noexcept {
  const std::uint64_t all = count();
  if (all == 0) return std::nullopt;
  double rest = std::max(q * static_cast<double>(all), 1.0);
  std::size_t bucket = 0;
  while (bucket + 1 < kBuckets && static_cast<double>(buckets[bucket]) < rest)
    rest -= static_cast<double>(buckets[bucket++]);
  const nanoseconds from = bucket == 0 ? nanoseconds{0} : nanoseconds{upper_bound(bucket - 1)};
  const double width = static_cast<double>((nanoseconds{upper_bound(bucket)} - from).count());
  const double part = rest / static_cast<double>(std::max<std::uint64_t>(buckets[bucket], 1));
  return from + nanoseconds{static_cast<std::int64_t>(width * std::min(part, 1.0))};
}

std::uint64_t LatencyCounts::count_of_octave(std::size_t octave) const noexcept {
  const std::size_t from = octave * kPerOctave;
  const std::size_t to = std::min(from + kPerOctave, kBuckets);
  std::uint64_t count = 0;
  for (std::size_t i = from; i < to; ++i) count += buckets[i];
  return count;
}

LatencyCounts& LatencyCounts::operator+=(const LatencyCounts& other) noexcept {
  for (std::size_t i = 0; i < kBuckets; ++i) buckets[i] += other.buckets[i];
  sum += other.sum;
  return *this;
}

void LatencyHistogram::observe(nanoseconds time) noexcept {
  add_to(buckets_[LatencyCounts::bucket_of(time)], std::uint64_t{1});
  add_to(sum_, time.count());
}

void LatencyHistogram::add(const LatencyCounts& counts) noexcept {
  for (std::size_t i = 0; i < buckets_.size(); ++i) add_to(buckets_[i], counts.buckets[i]);
  add_to(sum_, counts.sum.count());
}

void LatencyHistogram::reset() noexcept {
  for (auto& bucket : buckets_) bucket.store(0, std::memory_order_relaxed);
  sum_.store(0, std::memory_order_relaxed);
}

LatencyCounts LatencyHistogram::counts() const noexcept {
  LatencyCounts counts;
  for (std::size_t i = 0; i < buckets_.size(); ++i)
    counts.buckets[i] = buckets_[i].load(std::memory_order_relaxed);
  counts.sum = nanoseconds{sum_.load(std::memory_order_relaxed)};
  return counts;
}

}  // namespace procpool::proc
