#include "ipc/event.hpp"

#include <signal.h>

#include <chrono>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/shared.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/single_step.hpp"

namespace procpool::ipc {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::exited;
using test::Forked;

std::vector<Forked> sleepers(Event& event, int count) {
  std::vector<Forked> waiters;
  for (int i = 0; i < count; ++i) waiters.emplace_back([&] { event.wait(); });
  for (const Forked& waiter : waiters) {
    EXPECT_TRUE(eventually([&] { return test::is_asleep(waiter.pid()); }));
  }
  return waiters;
}

TEST(Event, is_clear_until_it_is_set) {
  Event event;
  EXPECT_FALSE(event.is_set());
  EXPECT_FALSE(event.wait_for(0ms));
  EXPECT_FALSE(event.wait_until(Deadline::now()));
  EXPECT_FALSE(event.wait_until(std::chrono::system_clock::now() - 1h));
  const auto start = Deadline::Clock::now();
  EXPECT_FALSE(event.wait_for(60ms));
  EXPECT_GE(Deadline::Clock::now() - start, 60ms);
  event.set();
  event.set();
  EXPECT_TRUE(event.is_set());
  event.wait();
  EXPECT_TRUE(event.wait_for(0ms));
  event.clear();
  event.clear();
  EXPECT_FALSE(event.is_set());
  EXPECT_FALSE(event.wait_for(0ms));
}

TEST(Event, lets_all_go_who_wait) {
  const Shared<Event> event;
  std::vector<Forked> waiters = sleepers(*event, 4);
  event->set();
  for (Forked& waiter : waiters) EXPECT_EQ(waiter.wait(), exited(0));
}

TEST(Event, lets_all_go_who_wait_even_if_it_is_cleared_at_once) {
  const Shared<Event> event;
  std::vector<Forked> waiters = sleepers(*event, 4);
  event->set();
  event->clear();
  for (Forked& waiter : waiters) EXPECT_EQ(waiter.wait(), exited(0));
  EXPECT_FALSE(event->wait_for(0ms));
}

TEST(Event, is_held_up_by_no_waiter_that_was_killed) {
  const Shared<Event> event;
  std::vector<Forked> victims = sleepers(*event, 3);
  for (Forked& victim : victims) {
    victim.kill(SIGKILL);
    victim.wait();
  }
  std::vector<Forked> waiters = sleepers(*event, 1);
  event->set();
  EXPECT_EQ(waiters.front().wait(), exited(0));
}

}  // namespace
}  // namespace procpool::ipc
