#include "ipc/condition.hpp"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/mutex.hpp"
#include "ipc/recursive_mutex.hpp"
#include "ipc/shared.hpp"
#include "ipc/shared_mutex.hpp"
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
using test::killed_by;

template <typename AnyMutex>
struct Stock {
  AnyMutex mutex;
  Condition changed;
  int items = 0;

  template <typename Lock>
  void await_one() {
    Lock lock{mutex};
    changed.wait(lock, [&] { return items > 0; });
    --items;
  }
  void put(int count) {
    const std::scoped_lock lock{mutex};
    items += count;
  }
};

template <typename Lock>
class ConditionWith : public testing::Test {};
using Locks = testing::Types<std::unique_lock<Mutex>, std::unique_lock<RecursiveMutex>,
                             std::unique_lock<SharedMutex>>;
TYPED_TEST_SUITE(ConditionWith, Locks);

TYPED_TEST(ConditionWith, wakes_those_who_wait) {
  const Shared<Stock<typename TypeParam::mutex_type>> stock;
  std::vector<Forked> waiters;
  waiters.reserve(3);
  for (int i = 0; i < 3; ++i) {
    waiters.emplace_back([&] { stock->template await_one<TypeParam>(); });
  }
  for (const Forked& waiter : waiters) {
    ASSERT_TRUE(eventually([&] { return test::is_asleep(waiter.pid()); }));
  }
  stock->put(1);
  stock->changed.notify_one();
  stock->put(2);
  stock->changed.notify_all();
  for (Forked& waiter : waiters) EXPECT_EQ(waiter.wait(), exited(0));
  EXPECT_EQ(stock->items, 0);
}

TEST(Condition, is_waited_for_by_readers_and_by_the_mutex_itself) {
  const Shared<Stock<SharedMutex>> stock;
  std::vector<Forked> readers;
  readers.reserve(2);
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      std::shared_lock lock{stock->mutex};
      stock->changed.wait(lock, [&] { return stock->items > 0; });
    });
  }
  Forked writer{[&] {
    stock->mutex.lock();
    stock->changed.wait(stock->mutex, [&] { return stock->items > 0; });
    stock->mutex.unlock();
  }};
  ASSERT_TRUE(eventually([&] { return test::is_asleep(writer.pid()); }));
  stock->put(1);
  stock->changed.notify_all();
  for (Forked& reader : readers) EXPECT_EQ(reader.wait(), exited(0));
  EXPECT_EQ(writer.wait(), exited(0));
}

TEST(Condition, hands_over_between_two_again_and_again) {
  constexpr int kRounds = test::kSanitized ? 500 : 5000;
  struct Turns {
    Mutex mutex;
    Condition changed;
    int turn = 0;
    void play(int mine) {
      for (int round = 0; round < kRounds; ++round) {
        std::unique_lock lock{mutex};
        changed.wait(lock, [&] { return turn == mine; });
        turn = 1 - mine;
        lock.unlock();
        changed.notify_one();
      }
    }
  };
  const Shared<Turns> turns;
  Forked first{[&] { turns->play(0); }};
  Forked second{[&] { turns->play(1); }};
  EXPECT_EQ(first.wait(), exited(0));
  EXPECT_EQ(second.wait(), exited(0));
}

TEST(Condition, ends_a_wait_no_earlier_than_the_time_given_and_holds_the_lock) {
  Stock<Mutex> stock;
  std::unique_lock lock{stock.mutex};
  const auto never = [] { return false; };
  for (const auto time : {10ms, 70ms}) {
    const auto start = Deadline::Clock::now();
    EXPECT_FALSE(stock.changed.wait_for(lock, time, never));
    EXPECT_GE(Deadline::Clock::now() - start, time);
    EXPECT_TRUE(stock.mutex.is_mine());
  }
  EXPECT_FALSE(stock.changed.wait_until(lock, std::chrono::system_clock::now() + 5ms, never));
  EXPECT_FALSE(stock.changed.wait_until(lock, Deadline::now(), never));
  EXPECT_TRUE(stock.changed.wait_for(lock, -1h, [] { return true; }));
  EXPECT_TRUE(stock.changed.wait_for(lock, std::chrono::hours::max(), [] { return true; }));
}

TEST(Condition, refuses_to_wait_with_a_lock_that_is_not_held_or_not_once) {
  Stock<Mutex> stock;
  std::unique_lock not_held{stock.mutex, std::defer_lock};
  EXPECT_THROW(stock.changed.wait(not_held, [] { return true; }), Error);
  EXPECT_THROW(stock.changed.wait(stock.mutex, [] { return true; }), Error);

  RecursiveMutex twice;
  const std::scoped_lock outer{twice};
  std::unique_lock inner{twice};
  EXPECT_THROW(stock.changed.wait(inner, [] { return true; }), Error);
}

TEST(Condition, holds_the_lock_when_the_predicate_throws) {
  Stock<Mutex> stock;
  std::unique_lock lock{stock.mutex};
  EXPECT_THROW(stock.changed.wait(lock, []() -> bool { throw std::runtime_error{"predicate"}; }),
               std::runtime_error);
  EXPECT_TRUE(lock.owns_lock() && stock.mutex.is_mine());
}

TEST(Condition, shows_in_the_predicate_that_the_lock_was_taken_over) {
  const Shared<Stock<Mutex>> stock;
  Forked waiter{[&] {
    std::unique_lock lock{stock->mutex};
    stock->changed.wait(lock, [&] { return stock->mutex.took_over(); });
  }};
  ASSERT_TRUE(eventually([&] { return test::is_asleep(waiter.pid()); }));
  Forked dies{[&] {
    stock->mutex.lock();
    ::raise(SIGKILL);
  }};
  EXPECT_EQ(dies.wait(), killed_by(SIGKILL));
  EXPECT_EQ(waiter.wait(), exited(0));
}

TEST(Condition, goes_on_when_waiters_were_killed_in_their_sleep) {
  const Shared<Stock<Mutex>> stock;
  for (int i = 0; i < 5; ++i) {
    Forked victim{[&] { stock->await_one<std::unique_lock<Mutex>>(); }};
    ASSERT_TRUE(eventually([&] { return test::is_asleep(victim.pid()); }));
    victim.kill(SIGKILL);
    EXPECT_EQ(victim.wait(), killed_by(SIGKILL));
  }
  for (int i = 0; i < 5; ++i) stock->changed.notify_one();
  Forked waiter{[&] { stock->await_one<std::unique_lock<Mutex>>(); }};
  stock->put(1);
  stock->changed.notify_one();
  EXPECT_EQ(waiter.wait(), exited(0));
}

}  // namespace
}  // namespace procpool::ipc
