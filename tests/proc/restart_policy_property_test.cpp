// What a RestartPolicy promises, for every policy and every history.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "proc/restart_policy.hpp"

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using Lives = std::vector<milliseconds>;

milliseconds any_time(int least, int most) {
  return milliseconds{*rc::gen::inRange(least, most + 1)};
}

RestartPolicy any_policy_without_limit() {
  return {.first_delay = any_time(0, 500),
          .longest_delay = any_time(0, 20'000),
          .stable_after = any_time(1, 5'000),
          .intensity = {}};
}

RestartPolicy any_policy_with_limit() {
  RestartPolicy policy = any_policy_without_limit();
  policy.intensity = {.at_most = *rc::gen::inRange(0, 10), .within = any_time(0, 20'000)};
  return policy;
}

RestartPolicy any_policy() {
  return *rc::gen::arbitrary<bool>() ? any_policy_with_limit() : any_policy_without_limit();
}

Lives any_lives(milliseconds longest) {
  Lives lives;
  for (const int life : *rc::gen::container<std::vector<int>>(
           rc::gen::inRange(0, static_cast<int>(longest.count()) + 1))) {
    lives.push_back(milliseconds{life});
  }
  return lives;
}

// Some of them stable, some not.
Lives any_history(const RestartPolicy& policy) {
  return any_lives(policy.stable_after + policy.stable_after / 8);
}

// None of them stable: one series.
Lives any_failures(const RestartPolicy& policy) {
  return any_lives(policy.stable_after - 1ms);
}

Lives operator+(Lives lives, const Lives& more) {
  lives.insert(lives.end(), more.begin(), more.end());
  return lives;
}

RC_GTEST_PROP(RestartPolicyProperty, no_delay_is_above_the_longest_or_below_the_first, ()) {
  const RestartPolicy policy = any_policy();
  const Lives series = any_failures(policy);
  const auto delay = policy.delay_after(any_history(policy) + Lives{policy.stable_after} + series);
  if (!delay) return;
  if (series.size() < 2) {
    RC_ASSERT(*delay == 0ms);
  } else {
    RC_ASSERT(*delay >= std::min(policy.first_delay, policy.longest_delay));
    RC_ASSERT(*delay <= policy.longest_delay);
  }
}

RC_GTEST_PROP(RestartPolicyProperty, each_delay_is_twice_the_one_before_until_the_longest, ()) {
  const RestartPolicy policy = any_policy_without_limit();
  Lives lives = any_failures(policy);
  lives.resize(lives.size() + 2);
  const auto before = policy.delay_after(lives);
  lives.push_back(policy.stable_after - 1ms);
  RC_ASSERT(*policy.delay_after(lives) == std::min(*before * 2, policy.longest_delay));
}

RC_GTEST_PROP(RestartPolicyProperty, one_more_failure_never_shortens_the_delay, ()) {
  const RestartPolicy policy = any_policy();
  Lives lives = any_history(policy);
  const auto before = policy.delay_after(lives);
  lives = lives + Lives{any_time(0, static_cast<int>(policy.stable_after.count()) - 1)};
  const auto after = policy.delay_after(lives);
  if (before && after) RC_ASSERT(*after >= *before);
}

RC_GTEST_PROP(RestartPolicyProperty, a_stable_life_is_followed_by_a_restart_at_once, ()) {
  const RestartPolicy policy = any_policy();
  const Lives lives = any_history(policy) + Lives{policy.stable_after + any_time(0, 100'000)};
  if (policy.intensity && policy.intensity->at_most == 0) return;
  RC_ASSERT(policy.delay_after(lives) == 0ms);
}

RC_GTEST_PROP(RestartPolicyProperty, what_lies_before_a_stable_life_changes_nothing, ()) {
  const RestartPolicy policy = any_policy();
  const Lives since = Lives{policy.stable_after} + any_history(policy);
  RC_ASSERT(policy.delay_after(any_history(policy) + since) == policy.delay_after(since));
}

RC_GTEST_PROP(RestartPolicyProperty, what_lies_before_its_memory_changes_nothing, ()) {
  const RestartPolicy policy = any_policy();
  const Lives lives = any_history(policy);
  const std::size_t kept = std::min(lives.size(), policy.memory());
  RC_ASSERT(policy.delay_after(std::span{lives}.last(kept)) == policy.delay_after(lives));
}

RC_GTEST_PROP(RestartPolicyProperty, only_how_many_failed_decides_how_long_the_delay_is, ()) {
  const RestartPolicy policy = any_policy_without_limit();
  const Lives lives = any_failures(policy);
  RC_ASSERT(policy.delay_after(lives) == policy.delay_after(Lives(lives.size())));
}

// When the child, in its running time, is started again in one series: until it is given up.
std::vector<milliseconds> restarts_of(const RestartPolicy& policy, const Lives& series) {
  std::vector<milliseconds> restarts;
  milliseconds now{0};
  for (std::size_t count = 1; count <= series.size(); ++count) {
    now += series[count - 1];
    if (!policy.delay_after(std::span{series}.first(count))) break;
    restarts.push_back(now);
  }
  return restarts;
}

// The most that fall into `within`, both ends included.
std::size_t most_at_once(const std::vector<milliseconds>& times, milliseconds within) {
  std::size_t most = 0;
  for (auto first = times.begin(); first != times.end(); ++first) {
    const auto end = std::upper_bound(first, times.end(), *first + within);
    most = std::max(most, static_cast<std::size_t>(end - first));
  }
  return most;
}

RC_GTEST_PROP(RestartPolicyProperty, no_window_has_more_restarts_than_are_allowed, ()) {
  const RestartPolicy policy = any_policy_with_limit();
  const auto restarts = restarts_of(policy, any_failures(policy));
  RC_ASSERT(most_at_once(restarts, policy.intensity->within) <=
            static_cast<std::size_t>(policy.intensity->at_most));
}

RC_GTEST_PROP(RestartPolicyProperty, nobody_is_given_up_whose_restarts_are_few_enough, ()) {
  const RestartPolicy policy = any_policy_with_limit();
  const Lives series = any_failures(policy);
  auto restarts = restarts_of(policy, series);
  if (restarts.size() == series.size()) return;
  const auto last = std::accumulate(
      series.begin(), series.begin() + static_cast<std::ptrdiff_t>(restarts.size()) + 1, 0ms);
  restarts.push_back(last);
  RC_ASSERT(most_at_once(restarts, policy.intensity->within) >
            static_cast<std::size_t>(policy.intensity->at_most));
}

RC_GTEST_PROP(RestartPolicyProperty, shorter_lives_never_save_who_was_given_up, ()) {
  const RestartPolicy policy = any_policy_with_limit();
  Lives lives = any_failures(policy);
  if (policy.delay_after(lives)) return;
  for (milliseconds& life : lives) life /= *rc::gen::inRange(1, 4);
  RC_ASSERT(!policy.delay_after(lives));
}

RC_GTEST_PROP(RestartPolicyProperty, who_fails_at_once_for_ever_is_given_up_if_there_is_a_limit,
              ()) {
  const RestartPolicy policy = any_policy();
  RC_ASSERT(policy.delay_after(Lives(100)).has_value() == !policy.intensity.has_value());
}

milliseconds time_of_any_size() {
  constexpr auto kMost = std::numeric_limits<milliseconds::rep>::max();
  return milliseconds{*rc::gen::element<milliseconds::rep>(0, 1, 1'000, kMost / 4, kMost / 2,
                                                           kMost / 2 + 1, kMost - 1, kMost)};
}

RC_GTEST_PROP(RestartPolicyProperty, no_time_is_too_long_to_be_reckoned_with, ()) {
  const RestartPolicy policy{
      .first_delay = time_of_any_size(),
      .longest_delay = time_of_any_size(),
      .stable_after = time_of_any_size(),
      .intensity = RestartPolicy::Intensity{.at_most = *rc::gen::inRange(-3, 5),
                                            .within = time_of_any_size()}};
  Lives lives(*rc::gen::inRange<std::size_t>(1, 80));
  for (milliseconds& life : lives) life = time_of_any_size();
  const auto delay = policy.delay_after(lives);
  if (!delay) return;
  RC_ASSERT(*delay >= 0ms);
  RC_ASSERT(*delay <= policy.longest_delay);
}

}  // namespace
}  // namespace procpool::proc
