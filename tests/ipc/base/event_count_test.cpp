#include "ipc/base/event_count.hpp"

#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/shared.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/single_step.hpp"

namespace procpool {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::exited;
using test::Forked;

struct Tickets {
  EventCount changed;
  std::atomic<int> left = 0;

  bool take() {
    int seen = left.load();
    while (seen > 0) {
      if (left.compare_exchange_weak(seen, seen - 1)) return true;
    }
    return false;
  }
  void wait() {
    for (;;) {
      const auto seen = changed.prepare();
      if (take()) return;
      changed.wait(seen, Deadline::never());
    }
  }
  void give(int count) { left.fetch_add(count); }
};

TEST(EventCount, wakes_one_for_each_notification) {
  const ipc::Shared<Tickets> tickets;
  std::vector<Forked> waiters;
  waiters.reserve(3);
  for (int i = 0; i < 3; ++i) waiters.emplace_back([&] { tickets->wait(); });
  for (const Forked& waiter : waiters) {
    ASSERT_TRUE(eventually([&] { return test::is_asleep(waiter.pid()); }));
  }
  for (int i = 0; i < 3; ++i) {
    tickets->give(1);
    tickets->changed.notify_one();
  }
  for (Forked& waiter : waiters) EXPECT_EQ(waiter.wait(), exited(0));
}

TEST(EventCount, wakes_all) {
  const ipc::Shared<Tickets> tickets;
  std::vector<Forked> waiters;
  waiters.reserve(3);
  for (int i = 0; i < 3; ++i) waiters.emplace_back([&] { tickets->wait(); });
  for (const Forked& waiter : waiters) {
    ASSERT_TRUE(eventually([&] { return test::is_asleep(waiter.pid()); }));
  }
  tickets->give(3);
  tickets->changed.notify_all();
  for (Forked& waiter : waiters) EXPECT_EQ(waiter.wait(), exited(0));
}

TEST(EventCount, does_not_sleep_after_a_notification_that_came_since_it_prepared) {
  EventCount changed;
  const auto sleeps = [] {
    rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw;
  };
  const auto before = sleeps();
  for (int i = 0; i < 100; ++i) {
    const auto seen = changed.prepare();
    changed.notify_one();
    changed.wait(seen, Deadline::never());
  }
  EXPECT_LT(sleeps() - before, 100);
}

TEST(EventCount, looks_again_when_a_notification_was_lost_with_its_sender) {
  const ipc::Shared<Tickets> tickets;
  Forked waiter{[&] { tickets->wait(); }};
  ASSERT_TRUE(eventually([&] { return test::is_asleep(waiter.pid()); }));
  tickets->give(1);  // and dies before it notifies
  EXPECT_EQ(waiter.wait(), exited(0));
}

TEST(EventCount, wakes_the_others_when_some_of_its_sleepers_were_killed) {
  const ipc::Shared<Tickets> tickets;
  for (int i = 0; i < 5; ++i) {
    Forked waiter{[&] { tickets->wait(); }};
    ASSERT_TRUE(eventually([&] { return test::is_asleep(waiter.pid()); }));
    waiter.kill(SIGKILL);
    waiter.wait();
  }
  Forked waiter{[&] { tickets->wait(); }};
  ASSERT_TRUE(eventually([&] { return test::is_asleep(waiter.pid()); }));
  tickets->give(1);
  tickets->changed.notify_one();
  EXPECT_EQ(waiter.wait(), exited(0));
}

}  // namespace
}  // namespace procpool
