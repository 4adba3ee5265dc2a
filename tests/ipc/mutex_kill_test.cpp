// Processes that are killed while they have to do with a Mutex: at every instruction of it, in
// their sleep, and at random.
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <list>
#include <mutex>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "ipc/mutex.hpp"
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
using test::kill_at_every_instruction;
using test::killed_by;
using test::kPatience;
using test::SteppedChild;
using test::stride_unless_torture;
using test::Sweep;

using Progress = SteppedChild::Progress;

// What a control that must fail is given to succeed, in vain.
constexpr auto kInVain = 300ms;

// A mutex of glibc, as a control: process-shared, robust or not.
class PosixMutex {
 public:
  explicit PosixMutex(int robustness) {
    pthread_mutexattr_t attributes;
    ::pthread_mutexattr_init(&attributes);
    ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_setrobust(&attributes, robustness);
    ::pthread_mutex_init(&mutex_, &attributes);
    ::pthread_mutexattr_destroy(&attributes);
  }
  void lock() { accept(::pthread_mutex_lock(&mutex_)); }
  bool try_lock() { return accept(::pthread_mutex_trylock(&mutex_)); }
  void unlock() { ::pthread_mutex_unlock(&mutex_); }

 private:
  bool accept(int result) {
    if (result == EOWNERDEAD) ::pthread_mutex_consistent(&mutex_);
    return result == 0 || result == EOWNERDEAD;
  }

  pthread_mutex_t mutex_;
};
struct PlainMutex : PosixMutex {
  PlainMutex() : PosixMutex{PTHREAD_MUTEX_STALLED} {}
};
struct RobustMutex : PosixMutex {
  RobustMutex() : PosixMutex{PTHREAD_MUTEX_ROBUST} {}
};

template <typename AnyMutex>
void lock_and_unlock(AnyMutex& mutex) {
  mutex.lock();
  mutex.unlock();
}

// How many of the deaths of an owner, one after each instruction, leave the mutex locked.
template <typename AnyMutex>
std::size_t count_stuck(std::size_t& instructions) {
  std::size_t stuck = 0;
  Shared<AnyMutex> mutex;
  lock_and_unlock(*mutex);
  instructions = kill_at_every_instruction([&] { lock_and_unlock(*mutex); },
                                           [&](std::size_t) {
                                             if (mutex->try_lock()) {
                                               mutex->unlock();
                                             } else {
                                               ++stuck;
                                               mutex = Shared<AnyMutex>{};
                                             }
                                           });
  return stuck;
}

TEST(MutexKill, leaves_no_lock_behind_at_any_instruction) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  std::size_t instructions = 0;
  EXPECT_EQ(count_stuck<Mutex>(instructions), 0U);
  EXPECT_GT(instructions, 50U);
}

TEST(MutexKill, control_of_a_mutex_that_is_not_robust_goes_red) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  std::size_t instructions = 0;
  EXPECT_GT(count_stuck<PlainMutex>(instructions), 5U);
  EXPECT_GT(instructions, 20U);
}

// An owner unlocks, with a waiter asleep, and is killed after each instruction of that. The waiter
// must come through.
TEST(MutexKill, forgets_no_waiter_when_the_owner_dies_at_any_instruction_of_unlock) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  const Shared<Mutex> mutex;
  lock_and_unlock(*mutex);
  for (Sweep sweep; sweep.next();) {
    Gate locked;
    SteppedChild victim{[&] {
      mutex->lock();
      locked.open();
      mutex->unlock();
    }};
    while (!locked.is_open()) ASSERT_EQ(victim.step(1), Progress::inside);
    Forked waiter{[&] { lock_and_unlock(*mutex); }};
    ASSERT_TRUE(eventually([&] { return test::is_asleep(waiter.pid()); }));
    sweep.advance(victim);
    victim.kill();
    EXPECT_EQ(waiter.wait(), exited(0)) << "step " << sweep.instructions();
  }
}

// A waiter is killed after every so many instructions of its lock(), while the mutex is held and
// another waiter is asleep. The other must come through.
TEST(MutexKill, forgets_no_waiter_when_another_dies_at_any_instruction) {
  constexpr std::size_t kStride = 61;  // most of them are of the question whether the owner lives
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  const Shared<Mutex> mutex;
  lock_and_unlock(*mutex);
  Sweep sweep{stride_unless_torture(kStride)};
  while (sweep.next()) {
    mutex->lock();
    Forked other{[&] { lock_and_unlock(*mutex); }};
    SteppedChild victim{[&] { lock_and_unlock(*mutex); }};
    sweep.advance(victim);
    mutex->unlock();
    victim.kill();
    EXPECT_EQ(other.wait(), exited(0));
  }
}

// The wake-up that gets lost: an owner with a waiter has freed the lock, but not yet woken anybody,
// when a third takes it, who cannot see that there are waiters; then the first is killed.
// Returns whether the waiter comes through within `time` after the third has unlocked, too.
template <typename AnyMutex>
bool waiter_survives_a_lost_wake_up(std::chrono::milliseconds time) {
  const Shared<AnyMutex> mutex;
  lock_and_unlock(*mutex);
  Gate locked;
  SteppedChild owner{[&] {
    mutex->lock();
    locked.open();
    mutex->unlock();
  }};
  while (!locked.is_open()) owner.step(1);
  Gate woken;
  Forked waiter{[&] {
    mutex->lock();
    woken.open();
    mutex->unlock();
  }};
  EXPECT_TRUE(eventually([&] { return test::is_asleep(waiter.pid()); }));
  while (!mutex->try_lock()) EXPECT_EQ(owner.step(1), Progress::inside);
  owner.kill();
  mutex->unlock();
  return woken.wait(Deadline::in(time));
}

TEST(MutexKill, waiter_survives_a_wake_up_that_is_lost) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  EXPECT_TRUE(waiter_survives_a_lost_wake_up<Mutex>(kPatience));
}

TEST(MutexKill, control_of_a_robust_mutex_alone_loses_a_wake_up) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  EXPECT_FALSE(waiter_survives_a_lost_wake_up<RobustMutex>(kInVain));
}

// Two numbers that are equal whenever nobody is in the middle of changing them.
struct Account {
  Mutex mutex;
  std::atomic<long> first = 0;
  std::atomic<long> second = 0;
  std::atomic<long> mended = 0;
  std::atomic<long> torn = 0;
  std::atomic<long> rounds = 0;

  void change() {
    const std::scoped_lock lock{mutex};
    if (first != second) {
      (mutex.took_over() ? mended : torn) += 1;
      second = first.load();
    }
    first += 1;
    second += 1;
    rounds += 1;
  }
};

TEST(MutexKill, goes_on_and_shows_every_half_made_change_when_owners_are_killed_at_random) {
  constexpr int kProcesses = 3;
  constexpr int kKills = test::kSanitized ? 60 : 400;
  const Shared<Account> account;
  const auto start_one = [&] {
    return Forked{[&] {
      for (;;) account->change();
    }};
  };
  std::list<Forked> children;
  for (int i = 0; i < kProcesses; ++i) children.push_back(start_one());
  std::mt19937 random{7};
  for (int i = 0; i < kKills; ++i) {
    const long before = account->rounds;
    ASSERT_TRUE(eventually([&] { return account->rounds > before; })) << "after " << i << " kills";
    std::this_thread::sleep_for(std::chrono::microseconds{random() % 1500});
    Forked& victim = children.front();
    victim.kill(random() % 4 == 0 ? SIGSTOP : SIGKILL);
    victim.kill(SIGKILL);
    EXPECT_EQ(victim.wait(), killed_by(SIGKILL));
    children.pop_front();
    children.push_back(start_one());
  }
  EXPECT_EQ(account->torn, 0);
  children.clear();
  account->change();
  EXPECT_EQ(account->first, account->second);
  RecordProperty("takeovers", static_cast<int>(account->mutex.takeovers()));
  RecordProperty("mended", static_cast<int>(account->mended));
}

}  // namespace
}  // namespace procpool::ipc
