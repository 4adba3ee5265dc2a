#include "ipc/barrier.hpp"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/shared.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/sanitizers.hpp"

namespace procpool::ipc {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::exited;
using test::Forked;
using test::Gate;
using test::killed_by;

struct Plan {
  Barrier barrier{3};
  std::array<std::atomic<int>, 3> places{};
  std::atomic<int> actions = 0;
  std::atomic<int> wrong = 0;
};

constexpr int kBroken = 9;

// Attaches, then waits once: ends with its place in the order of arrival, or kBroken.
Forked party(Barrier& barrier) {
  Gate attached;
  Forked child{[&] {
    barrier.attach();
    attached.open();
    const auto place = barrier.wait();
    return place ? static_cast<int>(*place) : kBroken;
  }};
  attached.wait();
  return child;
}

// Attaches, and never comes.
Forked absent(Barrier& barrier) {
  Gate attached;
  Forked child{[&] {
    barrier.attach();
    attached.open();
    for (;;) ::pause();
  }};
  attached.wait();
  return child;
}

bool arrived(const Barrier& barrier, std::uint32_t count) {
  return eventually([&] { return barrier.waiting() == count; });
}

void kill(Forked& child) {
  child.kill(SIGKILL);
  EXPECT_EQ(child.wait(), killed_by(SIGKILL));
}

TEST(Barrier, lets_nobody_go_on_before_all_have_arrived) {
  constexpr int kRounds = test::kSanitized ? 200 : 1000;
  const Shared<Plan> plan;
  std::vector<Forked> parties;
  parties.reserve(3);
  for (int i = 0; i < 3; ++i) {
    parties.emplace_back([&] {
      plan->barrier.attach();
      for (int round = 1; round <= kRounds; ++round) {
        const auto place = plan->barrier.wait([&] {
          for (const auto& visits : plan->places) plan->wrong += visits == round - 1 ? 0 : 1;
          ++plan->actions;
        });
        if (!place || plan->actions < round) return 1;
        ++plan->places.at(*place);  // each place once in a round
      }
      plan->barrier.detach();
      return 0;
    });
  }
  for (Forked& child : parties) EXPECT_EQ(child.wait(), exited(0));
  EXPECT_EQ(plan->actions, kRounds);
  EXPECT_EQ(plan->wrong, 0);
}

TEST(Barrier, tells_each_its_place_in_the_order_of_arrival) {
  const Shared<Plan> plan;
  plan->barrier.attach();
  Forked first = party(plan->barrier);
  ASSERT_TRUE(arrived(plan->barrier, 1));
  Forked second = party(plan->barrier);
  ASSERT_TRUE(arrived(plan->barrier, 2));
  EXPECT_EQ(plan->barrier.wait(), 2U);
  EXPECT_EQ(first.wait(), exited(0));
  EXPECT_EQ(second.wait(), exited(1));
  EXPECT_EQ(plan->barrier.waiting(), 0U);
  EXPECT_FALSE(plan->barrier.is_broken());
}

TEST(Barrier, is_broken_by_the_death_of_a_party_that_has_not_arrived) {
  const Shared<Plan> plan;
  Forked victim = absent(plan->barrier);
  Forked one = party(plan->barrier);
  Forked other = party(plan->barrier);
  ASSERT_TRUE(arrived(plan->barrier, 2));
  EXPECT_FALSE(plan->barrier.is_broken());
  kill(victim);
  EXPECT_EQ(one.wait(), exited(kBroken));
  EXPECT_EQ(other.wait(), exited(kBroken));
  EXPECT_TRUE(plan->barrier.is_broken());
  plan->barrier.attach();
  EXPECT_EQ(plan->barrier.wait(), std::nullopt) << "whoever comes later is told as well";
}

TEST(Barrier, is_not_broken_by_the_death_of_a_party_that_has_arrived) {
  const Shared<Plan> plan;
  plan->barrier.attach();
  Forked victim = party(plan->barrier);
  ASSERT_TRUE(arrived(plan->barrier, 1));
  kill(victim);
  Forked other = party(plan->barrier);
  ASSERT_TRUE(arrived(plan->barrier, 2));
  std::this_thread::sleep_for(2 * kLongestSleep);  // the other one has looked, and found no fault
  EXPECT_EQ(plan->barrier.wait(), 2U);
  EXPECT_EQ(other.wait(), exited(1));
  EXPECT_EQ(plan->barrier.wait(), std::nullopt) << "they are missed in the next round";
}

TEST(Barrier, is_whole_again_after_reset_and_has_the_places_of_the_dead) {
  const Shared<Plan> plan;
  plan->barrier.attach();
  Forked victim = absent(plan->barrier);
  kill(victim);
  EXPECT_EQ(plan->barrier.wait(), std::nullopt);
  plan->barrier.reset();
  EXPECT_FALSE(plan->barrier.is_broken());
  Forked one = party(plan->barrier);
  Forked other = party(plan->barrier);
  EXPECT_TRUE(plan->barrier.wait().has_value());
  one.wait();
  other.wait();
}

TEST(Barrier, is_broken_when_another_takes_the_place_of_a_dead_party) {
  const Shared<Plan> plan;
  Forked waits = party(plan->barrier);
  Forked victim = absent(plan->barrier);
  const Forked lives = absent(plan->barrier);
  EXPECT_THROW(plan->barrier.attach(), Error) << "all places are taken";
  kill(victim);
  plan->barrier.attach();
  EXPECT_TRUE(plan->barrier.is_broken());
  EXPECT_EQ(waits.wait(), exited(kBroken));
}

TEST(Barrier, keeps_the_place_of_a_dead_party_whose_arrival_counts) {
  const Shared<Plan> plan;
  Forked victim = party(plan->barrier);
  ASSERT_TRUE(arrived(plan->barrier, 1));
  kill(victim);
  const Forked one = absent(plan->barrier);
  const Forked other = absent(plan->barrier);
  EXPECT_THROW(plan->barrier.attach(), Error);
  EXPECT_FALSE(plan->barrier.is_broken());
  plan->barrier.abort();
  plan->barrier.attach();
}

TEST(Barrier, is_broken_by_abort_until_reset) {
  const Shared<Plan> plan;
  Forked waits = party(plan->barrier);
  ASSERT_TRUE(arrived(plan->barrier, 1));
  plan->barrier.abort();
  EXPECT_EQ(waits.wait(), exited(kBroken));
  EXPECT_TRUE(plan->barrier.is_broken());
  plan->barrier.reset();
  EXPECT_FALSE(plan->barrier.is_broken());
  Forked again = party(plan->barrier);
  ASSERT_TRUE(arrived(plan->barrier, 1));
  plan->barrier.reset();
  EXPECT_EQ(again.wait(), exited(kBroken)) << "who waits is told of a reset, too";
  EXPECT_FALSE(plan->barrier.is_broken());
}

TEST(Barrier, is_broken_by_a_wait_that_is_timed_out) {
  Barrier barrier{2};
  barrier.attach();
  const auto start = Deadline::Clock::now();
  EXPECT_EQ(barrier.wait_for(20ms), std::nullopt);
  EXPECT_GE(Deadline::Clock::now() - start, 20ms);
  EXPECT_TRUE(barrier.is_broken());
  barrier.reset();
  EXPECT_EQ(barrier.wait_until(Deadline::now()), std::nullopt);
  barrier.reset();
  EXPECT_EQ(barrier.wait_until(std::chrono::system_clock::now() + 1ms), std::nullopt);
  barrier.reset();
  std::thread other{[&] {
    barrier.attach();
    EXPECT_TRUE(barrier.wait_for(test::kPatience, [] {}).has_value());
    barrier.detach();
  }};
  EXPECT_TRUE(barrier.wait_for(test::kPatience, [] {}).has_value());
  other.join();
}

TEST(Barrier, is_broken_by_an_action_that_throws) {
  const Shared<Plan> plan;
  Forked one = party(plan->barrier);
  Forked other = party(plan->barrier);
  ASSERT_TRUE(arrived(plan->barrier, 2));
  plan->barrier.attach();
  EXPECT_THROW(plan->barrier.wait([] { throw std::runtime_error{"action"}; }), std::runtime_error);
  EXPECT_EQ(one.wait(), exited(kBroken));
  EXPECT_EQ(other.wait(), exited(kBroken));
}

TEST(Barrier, is_broken_when_the_runner_of_the_action_is_killed) {
  const Shared<Plan> plan;
  Forked one = party(plan->barrier);
  Forked other = party(plan->barrier);
  ASSERT_TRUE(arrived(plan->barrier, 2));
  Forked runner{[&] {
    plan->barrier.attach();
    plan->barrier.wait([] { ::raise(SIGKILL); });
  }};
  EXPECT_EQ(runner.wait(), killed_by(SIGKILL));
  EXPECT_EQ(one.wait(), exited(kBroken));
  EXPECT_EQ(other.wait(), exited(kBroken));
}

TEST(Barrier, tells_the_runner_of_the_action_that_it_was_broken_meanwhile) {
  Barrier barrier{1};
  barrier.attach();
  EXPECT_EQ(barrier.wait([&] { barrier.abort(); }), std::nullopt);
  barrier.reset();
  EXPECT_EQ(barrier.wait([&] { barrier.reset(); }), std::nullopt);
  EXPECT_EQ(barrier.wait(), 0U);
}

TEST(Barrier, waits_for_one_who_takes_a_place_that_was_left) {
  const Shared<Plan> plan;
  plan->barrier.attach();
  plan->barrier.detach();
  Forked one = party(plan->barrier);
  Forked two = party(plan->barrier);
  ASSERT_TRUE(arrived(plan->barrier, 2));
  Forked three = party(plan->barrier);
  EXPECT_EQ(three.wait(), exited(2));
  one.wait();
  two.wait();
}

TEST(Barrier, waits_for_a_party_that_is_stopped) {
  const Shared<Plan> plan;
  Forked stopped = absent(plan->barrier);
  const Forked one = party(plan->barrier);
  stopped.kill(SIGSTOP);
  std::this_thread::sleep_for(2 * kLongestSleep);
  EXPECT_FALSE(plan->barrier.is_broken());
}

TEST(Barrier, refuses_who_is_no_party_and_who_is_one_twice) {
  EXPECT_THROW(Barrier{0}, Error);
  EXPECT_THROW(Barrier{Barrier::kMostParties + 1}, Error);
  Barrier barrier{2};
  EXPECT_EQ(barrier.parties(), 2U);
  EXPECT_THROW(barrier.wait(), Error);
  EXPECT_THROW(barrier.detach(), Error);
  barrier.attach();
  EXPECT_THROW(barrier.attach(), Error);
  Forked child{[&] { EXPECT_THROW(barrier.wait(), Error); }};
  EXPECT_EQ(child.wait(), exited(0)) << "a child of fork is no party";
}

TEST(Barrier, keeps_within_its_memory_when_that_was_overwritten) {
  for (const int rubbish : {0x00, 0x5a, 0xff}) {
    const Shared<Plan> plan;
    std::memset(static_cast<void*>(&plan->barrier), rubbish, sizeof(Barrier));
    try {
      plan->barrier.attach();
      plan->barrier.wait_for(5ms);
      plan->barrier.reset();
    } catch (const Error& error) {
      EXPECT_STRNE(error.what(), "") << "is right, too, when it says why";
    }
    EXPECT_LE(plan->barrier.parties(), Barrier::kMostParties);
  }
}

}  // namespace
}  // namespace procpool::ipc
