// The locks between the threads of one process: what ThreadSanitizer sees.
#include <array>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/barrier.hpp"
#include "ipc/bounded_semaphore.hpp"
#include "ipc/condition.hpp"
#include "ipc/event.hpp"
#include "ipc/mutex.hpp"
#include "ipc/once.hpp"
#include "ipc/recursive_mutex.hpp"
#include "ipc/semaphore.hpp"
#include "ipc/shared_mutex.hpp"

namespace procpool::ipc {
namespace {

constexpr int kThreads = 4;
constexpr long kRounds = 500;

// All numbers below are plain: a lock that does not order its owners is a data race.
void in_threads(const std::function<void(int)>& work) {
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
}

template <typename Lock>
class ThreadsWith : public testing::Test {};
using Mutexes = testing::Types<Mutex, RecursiveMutex, SharedMutex>;
TYPED_TEST_SUITE(ThreadsWith, Mutexes);

TYPED_TEST(ThreadsWith, count_under_a_lock) {
  TypeParam mutex;
  long count = 0;
  in_threads([&](int) {
    for (long round = 0; round < kRounds; ++round) {
      const std::unique_lock lock{mutex};
      ++count;
    }
  });
  EXPECT_EQ(count, kThreads * kRounds);
}

TYPED_TEST(ThreadsWith, wait_for_their_turn) {
  TypeParam mutex;
  Condition changed;
  long turn = 0;
  in_threads([&](int mine) {
    for (long round = 0; round < kRounds; ++round) {
      std::unique_lock lock{mutex};
      changed.wait(lock, [&] { return turn % kThreads == mine; });
      ++turn;
      lock.unlock();
      changed.notify_all();
    }
  });
  EXPECT_EQ(turn, kThreads * kRounds);
}

TEST(Threads, read_what_others_write) {
  SharedMutex mutex;
  long first = 0;
  long second = 0;
  in_threads([&](int i) {
    for (long round = 0; round < kRounds; ++round) {
      if (i == 0) {
        const std::unique_lock lock{mutex};
        ++first;
        ++second;
      } else {
        const std::shared_lock lock{mutex};
        EXPECT_EQ(first, second);
      }
    }
  });
  EXPECT_EQ(first, kRounds);
}

TEST(Threads, count_between_acquire_and_release) {
  Semaphore semaphore{1};
  BoundedSemaphore permit{1};
  long count = 0;
  long other_count = 0;
  in_threads([&](int) {
    for (long round = 0; round < kRounds; ++round) {
      semaphore.acquire();
      ++count;
      semaphore.release();
      permit.acquire();
      ++other_count;
      permit.release();
    }
  });
  EXPECT_EQ(count, kThreads * kRounds);
  EXPECT_EQ(other_count, kThreads * kRounds);
}

TEST(Threads, see_what_was_done_before_an_event_and_once) {
  Event ready;
  Once once;
  long value = 0;
  long made = 0;
  in_threads([&](int i) {
    if (i == 0) {
      value = 7;
      ready.set();
    }
    ready.wait();
    EXPECT_EQ(value, 7);
    once.call([&] { ++made; });
    EXPECT_EQ(made, 1);
  });
}

TEST(Threads, see_at_a_barrier_what_all_have_done) {
  Barrier barrier{kThreads};
  std::array<long, kThreads> done{};
  long sum = 0;
  in_threads([&](int i) {
    barrier.attach();
    for (long round = 1; round <= kRounds; ++round) {
      done.at(static_cast<std::size_t>(i)) = round;
      const auto place = barrier.wait([&] {
        for (const long each : done) sum += each;
      });
      EXPECT_TRUE(place.has_value());
      EXPECT_EQ(sum, kThreads * round * (round + 1) / 2);
      barrier.wait();
    }
    barrier.detach();
  });
}

}  // namespace
}  // namespace procpool::ipc
