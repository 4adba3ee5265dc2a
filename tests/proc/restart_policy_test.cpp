#include "proc/restart_policy.hpp"

#include <random>
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

// Properties, over policies and histories at random (the seed is fixed: a failure comes again).
class RestartPolicyProperty : public testing::Test {
 protected:
  int between(int low, int high) { return std::uniform_int_distribution{low, high}(random_); }

  RestartPolicy any_policy() {
    RestartPolicy policy{.first_delay = milliseconds{between(0, 500)},
                         .longest_delay = milliseconds{between(0, 20'000)},
                         .stable_after = milliseconds{between(1, 5'000)},
                         .intensity = {}};
    if (between(0, 1) == 1) {
      policy.intensity = {.at_most = between(0, 10), .within = milliseconds{between(0, 20'000)}};
    }
    return policy;
  }

  Lives any_lives() {
    Lives lives(static_cast<std::size_t>(between(1, 40)));
    for (auto& life : lives) life = milliseconds{between(0, between(1, 6'000))};
    return lives;
  }

  static constexpr int kRounds = 20'000;

 private:
  std::mt19937 random_{20240229};
};

TEST_F(RestartPolicyProperty, no_delay_is_negative_or_above_the_longest) {
  for (int round = 0; round < kRounds; ++round) {
    const RestartPolicy policy = any_policy();
    const auto delay = policy.delay_after(any_lives());
    if (!delay) continue;
    ASSERT_GE(*delay, 0ms);
    ASSERT_LE(*delay, policy.longest_delay);
  }
}

TEST_F(RestartPolicyProperty, one_more_failure_never_shortens_the_delay) {
  for (int round = 0; round < kRounds; ++round) {
    const RestartPolicy policy = any_policy();
    Lives lives = any_lives();
    const auto before = policy.delay_after(lives);
    lives.push_back(policy.stable_after - 1ms);
    const auto after = policy.delay_after(lives);
    if (!before || !after) continue;
    ASSERT_GE(*after, *before);
  }
}

TEST_F(RestartPolicyProperty, a_stable_life_is_followed_by_a_restart_at_once) {
  for (int round = 0; round < kRounds; ++round) {
    RestartPolicy policy = any_policy();
    policy.intensity = {};
    Lives lives = any_lives();
    lives.push_back(policy.stable_after);
    ASSERT_EQ(policy.delay_after(lives), 0ms);
  }
}

TEST_F(RestartPolicyProperty, what_lies_before_its_memory_changes_nothing) {
  for (int round = 0; round < kRounds; ++round) {
    const RestartPolicy policy = any_policy();
    const Lives lives = any_lives();
    if (lives.size() <= policy.memory()) continue;
    ASSERT_EQ(policy.delay_after(std::span{lives}.last(policy.memory())),
              policy.delay_after(lives));
  }
}

TEST_F(RestartPolicyProperty, whoever_fails_at_once_for_ever_is_given_up_if_there_is_a_limit) {
  for (int round = 0; round < kRounds; ++round) {
    const RestartPolicy policy = any_policy();
    const Lives lives(100, 0ms);
    ASSERT_EQ(policy.delay_after(lives).has_value(), !policy.intensity.has_value());
  }
}

}  // namespace
}  // namespace procpool::proc
