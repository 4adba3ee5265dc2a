#include "proc/latency_histogram.hpp"

#include <chrono>
#include <cstddef>
#include <initializer_list>
#include <optional>

#include <gtest/gtest.h>

#include "ipc/shared.hpp"
#include "tests/support/forked.hpp"

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

LatencyCounts counts_of(std::initializer_list<nanoseconds> times) {
  LatencyHistogram histogram;
  for (const nanoseconds time : times) histogram.observe(time);
  return histogram.counts();
}

TEST(LatencyHistogram, has_a_bucket_for_every_time) {
  EXPECT_EQ(LatencyCounts::bucket_of(-1s), 0U);
  EXPECT_EQ(LatencyCounts::bucket_of(0ns), 0U);
  EXPECT_EQ(LatencyCounts::bucket_of(nanoseconds::max()), LatencyCounts::kBuckets - 1);
  for (std::size_t bucket = 0; bucket + 1 < LatencyCounts::kBuckets; ++bucket) {
    const nanoseconds bound = LatencyCounts::upper_bound(bucket);
    EXPECT_EQ(LatencyCounts::bucket_of(bound), bucket) << bound.count();
    EXPECT_EQ(LatencyCounts::bucket_of(bound + 1ns), bucket + 1) << bound.count();
  }
}

TEST(LatencyHistogram, ends_each_octave_at_a_power_of_two) {
  EXPECT_EQ(LatencyCounts::upper_bound(0), 1us);
  EXPECT_EQ(LatencyCounts::upper_bound(3), 4us);
  for (std::size_t octave = 1; octave + 3 < LatencyCounts::kLargestBits; ++octave) {
    EXPECT_EQ(LatencyCounts::upper_bound(3 + octave * LatencyCounts::kPerOctave),
              std::chrono::microseconds{4 << octave});
  }
  EXPECT_EQ(LatencyCounts::upper_bound(LatencyCounts::kBuckets - 2),
            std::chrono::microseconds{1 << LatencyCounts::kLargestBits});
}

TEST(LatencyHistogram, is_told_by_octaves_too) {
  const LatencyCounts counts = counts_of({0ns, 4us, 5us, 8us, 9us, 1h, 2h});
  EXPECT_EQ(LatencyCounts::upper_bound_of_octave(0), 4us);
  EXPECT_EQ(counts.count_of_octave(0), 2U);
  EXPECT_EQ(LatencyCounts::upper_bound_of_octave(1), 8us);
  EXPECT_EQ(counts.count_of_octave(1), 2U);
  EXPECT_EQ(counts.count_of_octave(2), 1U);
  EXPECT_EQ(counts.count_of_octave(LatencyCounts::kOctaves - 1), 2U);
}

TEST(LatencyHistogram, knows_no_quantile_of_nothing) {
  EXPECT_EQ(LatencyCounts{}.quantile(0.5), std::nullopt);
  EXPECT_EQ(LatencyCounts{}.count(), 0U);
}

TEST(LatencyHistogram, tells_a_quantile_within_a_quarter) {
  LatencyHistogram histogram;
  for (int time = 1; time <= 1000; ++time) histogram.observe(time * 1ms);
  const LatencyCounts counts = histogram.counts();
  EXPECT_EQ(counts.count(), 1000U);
  EXPECT_EQ(counts.sum, 500'500ms);
  for (const double q : {0.01, 0.5, 0.9, 0.99, 1.0}) {
    const double truth = q * 1e9;
    EXPECT_NEAR(static_cast<double>(counts.quantile(q)->count()), truth, truth / 4) << q;
  }
}

TEST(LatencyHistogram, tells_a_quantile_of_times_that_are_all_the_same) {
  const LatencyCounts counts = counts_of({85us, 85us, 85us});
  for (const double q : {0.0, 0.5, 1.0})
    EXPECT_NEAR(static_cast<double>(counts.quantile(q)->count()), 85'000, 85'000 / 4.0) << q;
}

TEST(LatencyHistogram, says_of_what_took_too_long_that_it_took_as_long_as_it_can_tell) {
  EXPECT_EQ(counts_of({10h}).quantile(0.5), nanoseconds{1us * (1 << LatencyCounts::kLargestBits)});
}

TEST(LatencyHistogram, adds_up) {
  LatencyCounts both = counts_of({1us, 2ms});
  both += counts_of({3s});
  EXPECT_EQ(both, counts_of({1us, 2ms, 3s}));

  LatencyHistogram histogram;
  histogram.observe(3s);
  histogram.add(counts_of({1us, 2ms}));
  EXPECT_EQ(histogram.counts(), both);
  histogram.reset();
  EXPECT_EQ(histogram.counts(), LatencyCounts{});
}

TEST(LatencyHistogram, is_read_by_another_process_than_its_writer) {
  const ipc::Shared<LatencyHistogram> histogram;
  test::Forked child{[&] { histogram->observe(85us); }};
  EXPECT_EQ(child.wait(), test::exited(0));
  EXPECT_EQ(histogram->counts(), counts_of({85us}));
}

}  // namespace
}  // namespace procpool::proc
