#include "ipc/shared_mutex.hpp"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/shared.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/single_step.hpp"

namespace procpool::ipc {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::exited;
using test::Forked;
using test::Gate;
using test::killed_by;
using test::kPatience;

// Does so, then waits to be killed.
Forked stay_after(const std::function<void()>& action) {
  Gate done;
  Forked child{[&] {
    action();
    done.open();
    for (;;) ::pause();
  }};
  done.wait();
  return child;
}
Forked stay_reader(SharedMutex& mutex) {
  return stay_after([&] { mutex.lock_shared(); });
}
Forked stay_writer(SharedMutex& mutex) {
  return stay_after([&] { mutex.lock(); });
}

void kill(Forked& child) {
  child.kill(SIGKILL);
  EXPECT_EQ(child.wait(), killed_by(SIGKILL));
}

bool asleep(const Forked& child) {
  return eventually([&] { return test::is_asleep(child.pid()); });
}

TEST(SharedMutex, lets_readers_see_nothing_half_made_by_writers) {
  constexpr int kRounds = test::kSanitized ? 1000 : 10000;
  struct Pair {
    SharedMutex mutex;
    volatile long first = 0;
    volatile long second = 0;
  };
  const Shared<Pair> pair;
  std::vector<Forked> children;
  children.reserve(4);
  for (int i = 0; i < 2; ++i) {
    children.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        const std::unique_lock lock{pair->mutex};
        pair->first = pair->first + 1;
        pair->second = pair->second + 1;
      }
    });
    children.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        const std::shared_lock lock{pair->mutex};
        if (pair->first != pair->second) return 1;
      }
      return 0;
    });
  }
  for (Forked& child : children) EXPECT_EQ(child.wait(), exited(0));
  EXPECT_EQ(pair->first, 2 * kRounds);
  EXPECT_EQ(pair->second, 2 * kRounds);
}

TEST(SharedMutex, is_shared_by_readers_and_had_by_one_writer) {
  const Shared<SharedMutex> mutex;
  {
    const Forked one = stay_reader(*mutex);
    const Forked other = stay_reader(*mutex);
    EXPECT_FALSE(mutex->try_lock());
    EXPECT_FALSE(mutex->try_lock_for(5ms));
    EXPECT_FALSE(mutex->try_lock_until(Deadline::now()));
    EXPECT_TRUE(mutex->try_lock_shared()) << "a writer that has given up is in nobody's way";
    mutex->unlock_shared();
  }
  {
    const Forked writer = stay_writer(*mutex);
    EXPECT_FALSE(mutex->try_lock());
    EXPECT_FALSE(mutex->try_lock_shared());
    EXPECT_FALSE(mutex->try_lock_shared_for(5ms));
    EXPECT_FALSE(mutex->try_lock_shared_until(std::chrono::steady_clock::now() + 5ms));
  }
  EXPECT_TRUE(mutex->try_lock());
  mutex->unlock();
}

TEST(SharedMutex, is_a_standard_shared_timed_lockable) {
  SharedMutex mutex;
  {
    const std::shared_lock first{mutex, 1s};
    const std::shared_lock second{mutex, std::try_to_lock};
    EXPECT_TRUE(first.owns_lock() && second.owns_lock());
  }
  const std::unique_lock writer{mutex, 1s};
  EXPECT_TRUE(writer.owns_lock());
}

TEST(SharedMutex, prefers_a_writer_that_waits_to_a_new_reader) {
  const Shared<SharedMutex> mutex;
  mutex->lock_shared();
  Forked writer{[&] { const std::unique_lock lock{*mutex}; }};
  ASSERT_TRUE(asleep(writer));
  Forked{[&] { EXPECT_FALSE(mutex->try_lock_shared()); }}.wait();
  Forked reader{[&] { const std::shared_lock lock{*mutex}; }};
  ASSERT_TRUE(asleep(reader));
  EXPECT_TRUE(mutex->try_lock_shared()) << "who has a share may have another";
  mutex->unlock_shared();
  EXPECT_FALSE(writer.ended());
  mutex->unlock_shared();
  EXPECT_EQ(writer.wait(), exited(0));
  EXPECT_EQ(reader.wait(), exited(0));
}

TEST(SharedMutex, lets_a_further_reader_wait_when_all_shares_are_taken) {
  const Shared<SharedMutex> mutex;
  for (std::size_t i = 0; i < SharedMutex::kMostReaders; ++i) mutex->lock_shared();
  EXPECT_FALSE(mutex->try_lock_shared());
  EXPECT_FALSE(mutex->try_lock_shared_for(5ms));
  Forked reader{[&] { mutex->lock_shared(); }};
  ASSERT_TRUE(asleep(reader));
  mutex->unlock_shared();
  EXPECT_EQ(reader.wait(), exited(0));
  EXPECT_TRUE(mutex->try_lock_shared()) << "it ended with its share";
  for (std::size_t i = 0; i < SharedMutex::kMostReaders; ++i) mutex->unlock_shared();
}

TEST(SharedMutex, refuses_what_would_never_end_and_to_give_what_one_has_not) {
  const Shared<SharedMutex> mutex;
  EXPECT_THROW(mutex->unlock(), Error);
  EXPECT_THROW(mutex->unlock_shared(), Error);
  mutex->lock();
  EXPECT_THROW(mutex->lock(), Error);
  EXPECT_THROW(mutex->lock_shared(), Error);
  EXPECT_THROW(mutex->unlock_shared(), Error);
  mutex->unlock();
  mutex->lock_shared();
  EXPECT_THROW(mutex->lock(), Error);
  EXPECT_THROW(static_cast<void>(mutex->try_lock()), Error);
  EXPECT_THROW(mutex->unlock(), Error);
  const Forked writer{[&] { mutex->lock(); }};
  ASSERT_TRUE(asleep(writer));
  EXPECT_THROW(mutex->lock(), Error) << "that one waits for our share";
  mutex->unlock_shared();
}

TEST(SharedMutex, takes_back_the_share_of_a_killed_reader) {
  const Shared<SharedMutex> mutex;
  for (const bool waits : {true, false}) {
    Forked reader = stay_reader(*mutex);
    Forked writer{[&] {
      if (waits) {
        mutex->lock();
      } else {
        EXPECT_TRUE(eventually([&] { return mutex->try_lock(); }));
      }
      mutex->unlock();
    }};
    kill(reader);
    EXPECT_EQ(writer.wait(), exited(0));
  }
  EXPECT_EQ(mutex->takeovers(), 0U) << "a reader changes nothing";
  mutex->lock();
  EXPECT_FALSE(mutex->took_over());
  mutex->unlock();
}

TEST(SharedMutex, tells_all_who_come_that_a_writer_died_until_one_has_mended_it) {
  const Shared<SharedMutex> mutex;
  Forked writer = stay_writer(*mutex);
  kill(writer);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(mutex->try_lock_shared());
    EXPECT_TRUE(mutex->took_over());
    mutex->unlock_shared();
  }
  EXPECT_EQ(mutex->takeovers(), 1U);
  Forked next_writer = stay_writer(*mutex);
  kill(next_writer);
  ASSERT_TRUE(mutex->try_lock());
  EXPECT_TRUE(mutex->took_over());
  EXPECT_EQ(mutex->takeovers(), 2U);
  mutex->unlock();
  mutex->lock_shared();
  EXPECT_FALSE(mutex->took_over());
  mutex->unlock_shared();
}

TEST(SharedMutex, forgets_a_writer_that_is_killed_before_it_had_the_lock) {
  const Shared<SharedMutex> mutex;
  mutex->lock_shared();
  Forked writer{[&] { mutex->lock(); }};
  ASSERT_TRUE(asleep(writer));
  Forked reader{[&] { mutex->lock_shared(); }};
  kill(writer);
  EXPECT_EQ(reader.wait(), exited(0));
  mutex->unlock_shared();
  mutex->lock();
  EXPECT_FALSE(mutex->took_over()) << "it has changed nothing";
  EXPECT_EQ(mutex->takeovers(), 0U);
  mutex->unlock();
}

TEST(SharedMutex, passes_to_all_who_wait_when_a_writer_is_killed) {
  const Shared<SharedMutex> mutex;
  Forked writer = stay_writer(*mutex);
  std::vector<Forked> waiters;
  waiters.reserve(4);
  for (int i = 0; i < 2; ++i) {
    waiters.emplace_back([&] { const std::unique_lock lock{*mutex}; });
    waiters.emplace_back([&] { const std::shared_lock lock{*mutex}; });
  }
  for (const Forked& waiter : waiters) ASSERT_TRUE(asleep(waiter));
  kill(writer);
  for (Forked& waiter : waiters) EXPECT_EQ(waiter.wait(), exited(0));
}

TEST(SharedMutex, stays_with_readers_and_writers_that_are_stopped) {
  const Shared<SharedMutex> mutex;
  {
    Forked reader = stay_reader(*mutex);
    reader.kill(SIGSTOP);
    EXPECT_FALSE(mutex->try_lock_for(120ms));
  }
  Forked writer = stay_writer(*mutex);
  writer.kill(SIGSTOP);
  EXPECT_FALSE(mutex->try_lock_for(60ms));
  EXPECT_FALSE(mutex->try_lock_shared_for(60ms));
}

}  // namespace
}  // namespace procpool::ipc
