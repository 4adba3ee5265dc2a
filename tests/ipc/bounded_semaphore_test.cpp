#include "ipc/bounded_semaphore.hpp"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/shared.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/single_step.hpp"

namespace procpool::ipc {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::exited;
using test::Forked;
using test::Gate;
using test::killed_by;

struct Limits {
  BoundedSemaphore permits{3};
};

// Holds so many permits until it is killed.
Forked hold(BoundedSemaphore& permits, int count) {
  Gate held;
  Forked holder{[&] {
    for (int i = 0; i < count; ++i) permits.acquire();
    held.open();
    for (;;) ::pause();
  }};
  held.wait();
  return holder;
}

TEST(BoundedSemaphore, has_as_many_permits_as_its_maximum) {
  BoundedSemaphore permits{2};
  EXPECT_EQ(permits.maximum(), 2U);
  permits.acquire();
  EXPECT_TRUE(permits.try_acquire());
  EXPECT_EQ(permits.value(), 0U);
  EXPECT_FALSE(permits.try_acquire());
  EXPECT_FALSE(permits.try_acquire_for(5ms));
  EXPECT_FALSE(permits.try_acquire_until(Deadline::now()));
  EXPECT_FALSE(permits.try_acquire_until(std::chrono::system_clock::now() + 1ms));
  permits.release();
  permits.release();
  EXPECT_EQ(permits.value(), 2U);
  EXPECT_THROW(permits.release(), Error);
}

TEST(BoundedSemaphore, refuses_no_permits_and_too_many) {
  EXPECT_THROW(BoundedSemaphore{0}, Error);
  EXPECT_THROW(BoundedSemaphore{BoundedSemaphore::kMost + 1}, Error);
  EXPECT_EQ(BoundedSemaphore{BoundedSemaphore::kMost}.value(), BoundedSemaphore::kMost);
}

TEST(BoundedSemaphore, is_released_by_the_process_that_holds_it_and_no_other) {
  const Shared<Limits> limits;
  limits->permits.acquire();
  Forked child{[&] { EXPECT_THROW(limits->permits.release(), Error); }};
  EXPECT_EQ(child.wait(), exited(0));
  std::thread{[&] { limits->permits.release(); }}.join();
  EXPECT_EQ(limits->permits.value(), 3U);
}

TEST(BoundedSemaphore, takes_back_every_permit_of_a_killed_holder) {
  const Shared<Limits> limits;
  Forked victim = hold(limits->permits, 2);
  const Forked other = hold(limits->permits, 1);
  EXPECT_FALSE(limits->permits.try_acquire());
  std::vector<Forked> waiters;
  waiters.reserve(2);
  for (int i = 0; i < 2; ++i)
    waiters.emplace_back([&] {
      limits->permits.acquire();
      limits->permits.release();
    });
  for (const Forked& waiter : waiters) {
    ASSERT_TRUE(eventually([&] { return test::is_asleep(waiter.pid()); }));
  }
  victim.kill(SIGKILL);
  EXPECT_EQ(victim.wait(), killed_by(SIGKILL));
  for (Forked& waiter : waiters) EXPECT_EQ(waiter.wait(), exited(0));
  EXPECT_EQ(limits->permits.takeovers(), 2U);
  EXPECT_EQ(limits->permits.value(), 2U) << "the other one lives";
}

TEST(BoundedSemaphore, has_the_permits_of_the_dead_at_once_for_who_comes_later) {
  const Shared<Limits> limits;
  Forked exits{[&] {
    for (int i = 0; i < 3; ++i) limits->permits.acquire();
  }};
  EXPECT_EQ(exits.wait(), exited(0));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limits->permits.try_acquire());
  EXPECT_FALSE(limits->permits.try_acquire());
  EXPECT_EQ(limits->permits.takeovers(), 3U);
}

TEST(BoundedSemaphore, leaves_the_permits_of_a_stopped_holder_alone) {
  const Shared<Limits> limits;
  Forked holder = hold(limits->permits, 3);
  holder.kill(SIGSTOP);
  EXPECT_FALSE(limits->permits.try_acquire_for(120ms));
}

TEST(BoundedSemaphore, keeps_within_its_memory_when_that_was_overwritten) {
  for (const int rubbish : {0x00, 0x5a, 0xff}) {
    const Shared<Limits> limits;
    std::memset(static_cast<void*>(limits.get()), rubbish, sizeof(Limits));
    EXPECT_LE(limits->permits.maximum(), BoundedSemaphore::kMost);
    if (!limits->permits.try_acquire_for(5ms)) continue;
    limits->permits.release();
  }
}

}  // namespace
}  // namespace procpool::ipc
