// Whoever waits for a lock costs next to nothing.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <list>
#include <mutex>
#include <shared_mutex>
#include <type_traits>

#include <gtest/gtest.h>

#include "ipc/barrier.hpp"
#include "ipc/bounded_semaphore.hpp"
#include "ipc/condition.hpp"
#include "ipc/event.hpp"
#include "ipc/mutex.hpp"
#include "ipc/once.hpp"
#include "ipc/recursive_mutex.hpp"
#include "ipc/semaphore.hpp"
#include "ipc/shared.hpp"
#include "ipc/shared_mutex.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"

namespace procpool::ipc {
namespace {

using namespace std::chrono_literals;
using test::exited;
using test::Forked;
using test::Gate;

// Everything that one can wait for, in one segment.
struct Everything {
  Mutex mutex;
  RecursiveMutex recursive;
  SharedMutex written;
  SharedMutex read;
  Mutex free;
  Condition condition;
  Semaphore semaphore;
  BoundedSemaphore permits{2};
  Event event;
  Barrier barrier{2};
};
static_assert(std::is_trivially_destructible_v<Everything> && Shareable<Once>);

constexpr auto kTime = 1s;
constexpr long kMostSleeps = 25;

long sleeps_so_far() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

TEST(Locks, wake_those_who_wait_in_vain_at_most_25_times_a_second) {
  const Shared<Everything> all;
  Gate held;
  const Forked holder{[&] {
    all->mutex.lock();
    all->recursive.lock();
    all->written.lock();
    all->read.lock_shared();
    all->permits.acquire();
    all->permits.acquire();
    all->barrier.attach();
    held.open();
    for (;;) ::pause();
  }};
  held.wait();
  const auto count_sleeps = [&](const std::function<bool()>& wait) {
    return Forked{[wait] {
      const long before = sleeps_so_far();
      EXPECT_FALSE(wait());
      EXPECT_LE(sleeps_so_far() - before, kMostSleeps);
    }};
  };
  std::list<Forked> waiters;
  waiters.push_back(count_sleeps([&] { return all->mutex.try_lock_for(kTime); }));
  waiters.push_back(count_sleeps([&] { return all->recursive.try_lock_for(kTime); }));
  waiters.push_back(count_sleeps([&] { return all->written.try_lock_for(kTime); }));
  waiters.push_back(count_sleeps([&] { return all->written.try_lock_shared_for(kTime); }));
  waiters.push_back(count_sleeps([&] { return all->read.try_lock_for(kTime); }));
  waiters.push_back(count_sleeps([&] { return all->semaphore.try_acquire_for(kTime); }));
  waiters.push_back(count_sleeps([&] { return all->permits.try_acquire_for(kTime); }));
  waiters.push_back(count_sleeps([&] { return all->event.wait_for(kTime); }));
  waiters.push_back(count_sleeps([&] {
    std::unique_lock lock{all->free};
    return all->condition.wait_for(lock, kTime, [] { return false; });
  }));
  waiters.push_back(count_sleeps([&] {
    all->barrier.attach();
    return all->barrier.wait_for(kTime).has_value();
  }));
  for (Forked& waiter : waiters) EXPECT_EQ(waiter.wait(), exited(0));
}

}  // namespace
}  // namespace procpool::ipc
