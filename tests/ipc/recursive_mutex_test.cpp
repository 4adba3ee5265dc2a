#include "ipc/recursive_mutex.hpp"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/shared.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"

namespace procpool::ipc {
namespace {

using namespace std::chrono_literals;
using test::exited;
using test::Forked;
using test::killed_by;
using test::kPatience;

TEST(RecursiveMutex, is_free_when_it_was_unlocked_as_often_as_locked) {
  const Shared<RecursiveMutex> mutex;
  const auto free_for_others = [&] {
    return Forked{[&] { return mutex->try_lock() ? 0 : 1; }}.wait() == exited(0);
  };
  mutex->lock();
  EXPECT_TRUE(mutex->try_lock());
  EXPECT_TRUE(mutex->try_lock_for(1h));
  EXPECT_TRUE(mutex->try_lock_until(std::chrono::system_clock::now()));
  EXPECT_TRUE(mutex->try_lock_until(Deadline::now()));
  for (std::uint64_t depth = 5; depth > 0; --depth) {
    EXPECT_EQ(mutex->depth(), depth);
    EXPECT_FALSE(free_for_others());
    mutex->unlock();
  }
  EXPECT_EQ(mutex->depth(), 0U);
  EXPECT_TRUE(free_for_others());
}

TEST(RecursiveMutex, excludes_threads_from_each_other) {
  constexpr long kRounds = 3000;
  RecursiveMutex mutex;
  long count = 0;
  const auto work = [&] {
    for (long round = 0; round < kRounds; ++round) {
      const std::scoped_lock outer{mutex};
      const std::scoped_lock inner{mutex};
      ++count;
    }
  };
  std::thread first{work};
  std::thread second{work};
  first.join();
  second.join();
  EXPECT_EQ(count, 2 * kRounds);
}

TEST(RecursiveMutex, refuses_to_be_unlocked_by_another_than_its_owner) {
  RecursiveMutex mutex;
  EXPECT_THROW(mutex.unlock(), Error);
  mutex.lock();
  std::thread{[&] {
    EXPECT_THROW(mutex.unlock(), Error);
    EXPECT_EQ(mutex.depth(), 0U);
    EXPECT_FALSE(mutex.try_lock_for(5ms));
  }}.join();
  mutex.unlock();
  EXPECT_THROW(mutex.unlock(), Error);
}

TEST(RecursiveMutex, passes_to_the_next_however_often_a_killed_owner_had_locked_it) {
  const Shared<RecursiveMutex> mutex;
  Forked owner{[&] {
    for (int i = 0; i < 3; ++i) mutex->lock();
    ::raise(SIGKILL);
  }};
  EXPECT_EQ(owner.wait(), killed_by(SIGKILL));
  ASSERT_TRUE(mutex->try_lock_for(kPatience));
  EXPECT_TRUE(mutex->took_over());
  EXPECT_EQ(mutex->depth(), 1U);
  mutex->lock();
  mutex->unlock();
  EXPECT_TRUE(mutex->took_over());
  mutex->unlock();
  EXPECT_EQ(mutex->owner(), kNobody);
  EXPECT_EQ(mutex->takeovers(), 1U);
  mutex->lock();
  EXPECT_FALSE(mutex->took_over());
  mutex->unlock();
}

}  // namespace
}  // namespace procpool::ipc
