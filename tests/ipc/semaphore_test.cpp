#include "ipc/semaphore.hpp"

#include <atomic>
#include <chrono>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/shared.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/single_step.hpp"

namespace procpool::ipc {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::exited;
using test::Forked;

TEST(Semaphore, counts) {
  Semaphore semaphore{2};
  EXPECT_TRUE(semaphore.try_acquire());
  semaphore.acquire();
  EXPECT_FALSE(semaphore.try_acquire());
  EXPECT_EQ(semaphore.value(), 0U);
  semaphore.release(3);
  semaphore.release(0);
  EXPECT_EQ(semaphore.value(), 3U);
  EXPECT_TRUE(semaphore.try_acquire_for(0ms));
  EXPECT_TRUE(semaphore.try_acquire_until(Deadline::now()));
  EXPECT_TRUE(semaphore.try_acquire_until(std::chrono::system_clock::now()));
  const auto start = Deadline::Clock::now();
  EXPECT_FALSE(semaphore.try_acquire_for(20ms));
  EXPECT_GE(Deadline::Clock::now() - start, 20ms);
}

TEST(Semaphore, refuses_more_than_it_can_count) {
  EXPECT_THROW(Semaphore{Semaphore::kMost + 1}, Error);
  Semaphore semaphore{Semaphore::kMost};
  EXPECT_THROW(semaphore.release(), Error);
  EXPECT_THROW(semaphore.release(0xffffffff), Error);
  EXPECT_EQ(semaphore.value(), Semaphore::kMost);
  semaphore.acquire();
  EXPECT_THROW(semaphore.release(2), Error);
  semaphore.release();
}

TEST(Semaphore, wakes_as_many_as_it_is_released_for) {
  const Shared<Semaphore> semaphore;
  std::vector<Forked> waiters;
  waiters.reserve(4);
  for (int i = 0; i < 4; ++i) waiters.emplace_back([&] { semaphore->acquire(); });
  for (const Forked& waiter : waiters) {
    ASSERT_TRUE(eventually([&] { return test::is_asleep(waiter.pid()); }));
  }
  semaphore->release(3);
  EXPECT_TRUE(eventually([&] { return semaphore->value() == 0; }));
  semaphore->release();
  for (Forked& waiter : waiters) EXPECT_EQ(waiter.wait(), exited(0));
  EXPECT_EQ(semaphore->value(), 0U);
}

TEST(Semaphore, lets_no_more_in_than_it_has) {
  constexpr int kRounds = test::kSanitized ? 500 : 5000;
  struct State {
    Semaphore semaphore{2};
    std::atomic<int> inside = 0;
    std::atomic<int> too_many = 0;
  };
  const Shared<State> state;
  std::vector<Forked> children;
  children.reserve(4);
  for (int i = 0; i < 4; ++i) {
    children.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        state->semaphore.acquire();
        if (++state->inside > 2) ++state->too_many;
        --state->inside;
        state->semaphore.release();
      }
    });
  }
  for (Forked& child : children) EXPECT_EQ(child.wait(), exited(0));
  EXPECT_EQ(state->too_many, 0);
  EXPECT_EQ(state->semaphore.value(), 2U);
}

}  // namespace
}  // namespace procpool::ipc
