#include "proc/restart_policy.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using Lives = std::vector<milliseconds>;

constexpr RestartPolicy kPolicy{
    .first_delay = 100ms, .longest_delay = 1s, .stable_after = 10s, .intensity = {}};

TEST(RestartPolicy, restarts_at_once_then_after_doubling_delays_up_to_the_longest) {
  const std::vector<milliseconds> expected{0ms, 100ms, 200ms, 400ms, 800ms, 1s, 1s, 1s};
  Lives lives;
  for (const milliseconds delay : expected) {
    lives.push_back(5ms);
    EXPECT_EQ(kPolicy.delay_after(lives), delay) << lives.size() << " lives";
  }
}

TEST(RestartPolicy, starts_over_after_a_stable_life) {
  EXPECT_EQ(kPolicy.delay_after(Lives{1ms, 1ms, 1ms, 10s}), 0ms);
  EXPECT_EQ(kPolicy.delay_after(Lives{1ms, 1ms, 1ms, 10s, 1ms}), 0ms);
  EXPECT_EQ(kPolicy.delay_after(Lives{1ms, 1ms, 1ms, 10s, 1ms, 1ms}), 100ms);
}

TEST(RestartPolicy, gives_up_beyond_its_intensity_though_the_delays_are_long) {
  RestartPolicy policy{
      .first_delay = 1s, .longest_delay = 60s, .stable_after = 10s, .intensity = {}};
  policy.intensity = {.at_most = 60, .within = 600s};
  Lives lives;
  int restarts = 0;
  for (;;) {
    lives.push_back(10ms);
    if (!policy.delay_after(lives)) break;
    ++restarts;
  }
  EXPECT_EQ(restarts, 60);
}

TEST(RestartPolicy, never_gives_up_while_the_lives_are_long_enough) {
  RestartPolicy policy = kPolicy;
  policy.intensity = {.at_most = 3, .within = 10s};
  EXPECT_TRUE(policy.delay_after(Lives(100, 5s)));
  EXPECT_FALSE(policy.delay_after(Lives(100, 3s)));
}

TEST(RestartPolicy, gives_up_at_once_if_no_restart_is_allowed) {
  RestartPolicy policy = kPolicy;
  policy.intensity = {.at_most = 0, .within = 10s};
  EXPECT_FALSE(policy.delay_after(Lives{1ms}));
}

}  // namespace
}  // namespace procpool::proc
