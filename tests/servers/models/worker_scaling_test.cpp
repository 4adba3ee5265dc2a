#include "servers/models/detail/worker_scaling.hpp"

#include <gtest/gtest.h>

namespace procpool::models::detail {
namespace {

struct Case {
  ScalingSample sample;
  ScalingLimits limits;
  int change;
};

TEST(WorkerScaling, adds_workers_at_once_when_there_is_too_little_to_spare) {
  constexpr Case kCases[] = {
      {{1, 0.0}, {1, 8}, 0},       {{1, 0.74}, {1, 8}, 0}, {{1, 0.75}, {1, 8}, 1},
      {{1, 1.0}, {1, 8}, 1},       {{2, 0.8}, {1, 8}, 2},  {{4, 0.75}, {1, 8}, 2},
      {{4, 1.0}, {1, 8}, 4},       {{6, 1.0}, {1, 8}, 2},  {{8, 1.0}, {1, 8}, 0},
      {{1, 0.0}, {3, 8}, 2},       {{9, 1.0}, {1, 8}, -1}, {{9, 0.0}, {1, 8}, -1},
      {{100, 1.0}, {1, 250}, 100},
  };
  for (const Case& one : kCases) {
    EXPECT_EQ(WorkerScaling{}.step(one.sample, one.limits), one.change)
        << one.sample.workers << " workers with " << one.sample.load;
  }
}

TEST(WorkerScaling, retires_one_after_a_while_of_calm) {
  WorkerScaling scaling;
  for (int round = 0; round < 3; ++round) {
    for (unsigned step = 1; step < WorkerScaling::kCalmSteps; ++step)
      EXPECT_EQ(scaling.step({8, 0.1}, {1, 8}), 0);
    EXPECT_EQ(scaling.step({8, 0.1}, {1, 8}), -1);
  }
}

TEST(WorkerScaling, forgets_a_calm_that_ends) {
  WorkerScaling scaling;
  for (int step = 0; step < 20; ++step) {
    EXPECT_EQ(scaling.step({4, step % 4 == 3 ? 0.6 : 0.1}, {1, 8}), 0) << step;
  }
}

TEST(WorkerScaling, retires_nobody_below_the_limit) {
  WorkerScaling scaling;
  for (int step = 0; step < 20; ++step) EXPECT_EQ(scaling.step({2, 0.0}, {2, 8}), 0);
  EXPECT_EQ(scaling.step({3, 0.0}, {2, 8}), 0) << "one that was added by hand stays for a while";
}

// What was added for a load is not retired under the same load, and what was retired not added.
TEST(WorkerScaling, does_not_swing_under_a_steady_load) {
  for (double work = 0; work <= 8; work += 0.1) {
    WorkerScaling scaling;
    unsigned workers = 1;
    bool grew = false;
    bool shrank = false;
    for (int step = 0; step < 100; ++step) {
      const double load = work >= workers ? 1 : work / workers;
      const int change = scaling.step({workers, load}, {1, 16});
      grew = grew || change > 0;
      shrank = shrank || change < 0;
      EXPECT_FALSE(grew && shrank) << work;
      workers += static_cast<unsigned>(change);
    }
    EXPECT_LT(work / workers, WorkerScaling::kTooMuch);
  }
}

}  // namespace
}  // namespace procpool::models::detail
