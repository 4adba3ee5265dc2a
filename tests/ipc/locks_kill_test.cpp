// Processes that are killed while they have to do with a lock: at every instruction of taking and
// giving it, of waiting, waking and recovering, in their sleep, and at random.
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/barrier.hpp"
#include "ipc/base/error.hpp"
#include "ipc/bounded_semaphore.hpp"
#include "ipc/condition.hpp"
#include "ipc/event.hpp"
#include "ipc/mutex.hpp"
#include "ipc/once.hpp"
#include "ipc/recursive_mutex.hpp"
#include "ipc/semaphore.hpp"
#include "ipc/shared.hpp"
#include "ipc/shared_mutex.hpp"
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
using test::SteppedChild;
using test::stride_unless_torture;
using test::Sweep;

using Action = std::function<void()>;
using Progress = SteppedChild::Progress;

// What a control that must fail is given to succeed, in vain.
constexpr auto kInVain = 300ms;

constexpr auto kNothing = [] {};

// Single steps, which would be those of the sanitizer in a build that has one.
class LocksKill : public testing::Test {
 protected:
  void SetUp() override {
    if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  }
};
using LocksKillAtRandom = testing::Test;

void die_after(const Action& action) {
  Forked child{[&] {
    action();
    ::raise(SIGKILL);
  }};
  EXPECT_EQ(child.wait(), killed_by(SIGKILL));
}

bool asleep(const Forked& child) {
  return eventually([&] { return test::is_asleep(child.pid()); });
}

std::string place_of(const Sweep& sweep) {
  return "killed after " + std::to_string(sweep.instructions()) + " instructions";
}

// Kills a victim after each instruction of `operation`, each time after `begin`.
void kill_within(const Action& begin, const Action& operation, const Action& survive,
                 std::size_t stride = 1) {
  begin();
  operation();  // or the linker's work would be stepped through
  Sweep sweep{stride};
  while (sweep.next()) {
    begin();
    SteppedChild victim{operation};
    sweep.advance(victim);
    victim.kill();
    SCOPED_TRACE(place_of(sweep));
    survive();
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_EQ(sweep.progress(), Progress::ended);
}

// The victim says when the others shall fall asleep, and is killed after each instruction from
// there on. All of them must come through.
struct Handover {
  Action begin;
  std::function<void(const Action& others_wait)> victim;
  std::vector<Action> others;
  Action help;  // does what the victim may have left undone
};
void kill_within(const Handover& scene, std::size_t stride = stride_unless_torture(7)) {
  scene.begin();
  scene.victim(kNothing);
  Sweep sweep{stride};
  while (sweep.next()) {
    scene.begin();
    Gate ready;
    SteppedChild victim{[&] { scene.victim([&] { ready.open(); }); }};
    while (!ready.is_open()) ASSERT_EQ(victim.step(1), Progress::inside);
    std::list<Forked> others;
    for (const Action& other : scene.others) {
      ASSERT_TRUE(asleep(others.emplace_back(other)));
    }
    sweep.advance(victim);
    victim.kill();
    SCOPED_TRACE(place_of(sweep));
    scene.help();
    for (Forked& other : others) ASSERT_EQ(other.wait(), exited(0));
  }
}

// The victim waits beside the others, is held after every so many instructions or in its sleep
// while all of them are let go, and is killed then. The others must come through. Most of the
// instructions are those of looking again and again, so the stride is a large prime.
struct Waiting {
  Action begin;
  Action victim;
  std::vector<Action> others;
  std::function<bool()> let_go;  // false: not while the victim stands in the way
};
void kill_within(const Waiting& scene, std::size_t stride) {
  Sweep sweep{stride};
  while (sweep.next()) {
    scene.begin();
    std::list<Forked> others;
    for (const Action& other : scene.others) {
      ASSERT_TRUE(asleep(others.emplace_back(other)));
    }
    SteppedChild victim{scene.victim};
    sweep.advance(victim);
    SCOPED_TRACE(place_of(sweep));
    const bool went = scene.let_go();
    victim.kill();
    if (!went) {
      ASSERT_TRUE(scene.let_go());
    }
    for (Forked& other : others) ASSERT_EQ(other.wait(), exited(0));
  }
  EXPECT_EQ(sweep.progress(), Progress::asleep);
}

template <typename Lock>
void write(Lock& lock) {
  const std::unique_lock writing{lock};
}
void read(SharedMutex& mutex) {
  const std::shared_lock reading{mutex};
}

void expect_free(RecursiveMutex& mutex) {
  ASSERT_TRUE(mutex.try_lock());
  EXPECT_EQ(mutex.depth(), 1U);
  mutex.unlock();
}
void expect_free(SharedMutex& mutex) {
  ASSERT_TRUE(mutex.try_lock_shared());
  ASSERT_TRUE(mutex.try_lock_shared());
  mutex.unlock_shared();
  mutex.unlock_shared();
  ASSERT_TRUE(mutex.try_lock());
  mutex.unlock();
  ASSERT_TRUE(mutex.try_lock_shared());
  EXPECT_FALSE(mutex.took_over());
  mutex.unlock_shared();
}
void expect_free(BoundedSemaphore& permits) {
  for (std::uint32_t i = 0; i < permits.maximum(); ++i) ASSERT_TRUE(permits.try_acquire());
  EXPECT_FALSE(permits.try_acquire());
  for (std::uint32_t i = 0; i < permits.maximum(); ++i) permits.release();
}

// RecursiveMutex

TEST_F(LocksKill, recursive_mutex_is_free_after_a_death_at_any_instruction) {
  const Shared<RecursiveMutex> mutex;
  kill_within(
      kNothing,
      [&] {
        const std::scoped_lock outer{*mutex};
        const std::scoped_lock inner{*mutex};
      },
      [&] { expect_free(*mutex); });
}

TEST_F(LocksKill, recursive_mutex_forgets_no_waiter) {
  const Shared<RecursiveMutex> mutex;
  kill_within(Handover{.begin = kNothing,
                       .victim =
                           [&](const Action& others_wait) {
                             mutex->lock();
                             others_wait();
                             mutex->unlock();
                           },
                       .others = {[&] { write(*mutex); }},
                       .help = kNothing});
}

// SharedMutex

TEST_F(LocksKill, shared_mutex_is_free_after_a_death_at_any_instruction_of_a_writer) {
  const Shared<SharedMutex> mutex;
  kill_within(
      kNothing, [&] { write(*mutex); }, [&] { expect_free(*mutex); }, stride_unless_torture(29));
}

TEST_F(LocksKill, shared_mutex_is_free_after_a_death_at_any_instruction_of_a_reader) {
  const Shared<SharedMutex> mutex;
  kill_within(kNothing, [&] { read(*mutex); }, [&] { expect_free(*mutex); });
  EXPECT_EQ(mutex->takeovers(), 0U);
}

TEST_F(LocksKill, shared_mutex_is_free_when_who_recovers_it_from_a_writer_dies_too) {
  const Shared<SharedMutex> mutex;
  for (const bool reads : {false, true}) {
    kill_within([&] { die_after([&] { mutex->lock(); }); },
                [&] {
                  if (reads ? mutex->try_lock_shared() : mutex->try_lock()) {
                    reads ? mutex->unlock_shared() : mutex->unlock();
                  }
                },
                [&] { expect_free(*mutex); }, stride_unless_torture(97));
  }
}

TEST_F(LocksKill, shared_mutex_is_free_when_who_recovers_it_from_a_reader_dies_too) {
  const Shared<SharedMutex> mutex;
  kill_within([&] { die_after([&] { mutex->lock_shared(); }); },
              [&] {
                if (mutex->try_lock()) mutex->unlock();
              },
              [&] { expect_free(*mutex); }, stride_unless_torture(211));
}

TEST_F(LocksKill, shared_mutex_forgets_no_waiter_of_a_writer) {
  const Shared<SharedMutex> mutex;
  kill_within(Handover{.begin = kNothing,
                       .victim =
                           [&](const Action& others_wait) {
                             mutex->lock();
                             others_wait();
                             mutex->unlock();
                           },
                       .others = {[&] { write(*mutex); }, [&] { read(*mutex); }},
                       .help = kNothing});
}

TEST_F(LocksKill, shared_mutex_forgets_no_waiter_of_a_reader) {
  const Shared<SharedMutex> mutex;
  kill_within(Handover{.begin = kNothing,
                       .victim =
                           [&](const Action& others_wait) {
                             mutex->lock_shared();
                             others_wait();
                             mutex->unlock_shared();
                           },
                       .others = {[&] { write(*mutex); }, [&] { read(*mutex); }},
                       .help = kNothing});
}

TEST_F(LocksKill, shared_mutex_passes_over_waiters_that_die) {
  const Shared<SharedMutex> mutex;
  const std::vector<Action> others{[&] { read(*mutex); }, [&] { write(*mutex); }};
  for (const Action& victim : others) {
    kill_within(Waiting{.begin = [&] { mutex->lock(); },
                        .victim = victim,
                        .others = others,
                        .let_go =
                            [&] {
                              mutex->unlock();
                              return true;
                            }},
                1999);
    expect_free(*mutex);
  }
  kill_within(Waiting{.begin = [&] { mutex->lock_shared(); },
                      .victim = [&] { write(*mutex); },
                      .others = {},
                      .let_go =
                          [&] {
                            mutex->unlock_shared();
                            return true;
                          }},
              14009);
  expect_free(*mutex);
}

// Condition

struct Flag {
  Mutex mutex;
  Condition changed;
  bool up = false;

  void set(bool value) {
    const std::scoped_lock lock{mutex};
    up = value;
  }
  void await() {
    std::unique_lock lock{mutex};
    changed.wait(lock, [&] { return up; });
  }
};

TEST_F(LocksKill, condition_forgets_no_waiter_of_a_notifier) {
  const Shared<Flag> flag;
  for (const bool all : {false, true}) {
    kill_within(Handover{.begin = [&] { flag->set(false); },
                         .victim =
                             [&](const Action& others_wait) {
                               others_wait();
                               flag->set(true);
                               all ? flag->changed.notify_all() : flag->changed.notify_one();
                             },
                         .others = {[&] { flag->await(); }},
                         .help = [&] { flag->set(true); }},
                stride_unless_torture(17));
  }
}

TEST_F(LocksKill, condition_passes_over_waiters_that_die) {
  const Shared<Flag> flag;
  kill_within(Waiting{.begin = [&] { flag->set(false); },
                      .victim = [&] { flag->await(); },
                      .others = {[&] { flag->await(); }},
                      .let_go =
                          [&] {
                            const std::unique_lock lock{flag->mutex, 5ms};
                            if (!lock.owns_lock()) return false;
                            flag->up = true;
                            flag->changed.notify_one();
                            return true;
                          }},
              stride_unless_torture(3));
}

// Semaphore and BoundedSemaphore

TEST_F(LocksKill, semaphore_has_what_was_released_after_a_death_at_any_instruction) {
  const Shared<Semaphore> semaphore;
  kill_within([&] { EXPECT_FALSE(semaphore->try_acquire()); },
              [&] {
                semaphore->release();
                semaphore->acquire();
              },
              [&] {
                EXPECT_LE(semaphore->value(), 1U);
                while (semaphore->try_acquire()) {
                }
                semaphore->release(2);
                semaphore->acquire();
                semaphore->acquire();
              });
}

TEST_F(LocksKill, semaphore_forgets_no_waiter) {
  const Shared<Semaphore> semaphore;
  kill_within(Handover{.begin =
                           [&] {
                             while (semaphore->try_acquire()) {
                             }
                           },
                       .victim =
                           [&](const Action& others_wait) {
                             others_wait();
                             semaphore->release();
                           },
                       .others = {[&] { semaphore->acquire(); }},
                       .help =
                           [&] {
                             EXPECT_TRUE(eventually([&] { return semaphore->value() == 0; }));
                             semaphore->release();
                           }});
}

TEST_F(LocksKill, semaphore_passes_over_waiters_that_die) {
  const Shared<Semaphore> semaphore;
  kill_within(Waiting{.begin =
                          [&] {
                            while (semaphore->try_acquire()) {
                            }
                          },
                      .victim = [&] { semaphore->acquire(); },
                      .others = {[&] { semaphore->acquire(); }},
                      .let_go =
                          [&] {
                            semaphore->release();
                            semaphore->release();
                            return true;
                          }},
              23);
}

struct Limits {
  BoundedSemaphore permits{2};
  BoundedSemaphore only{1};
};

TEST_F(LocksKill, bounded_semaphore_has_all_permits_after_a_death_at_any_instruction) {
  const Shared<Limits> limits;
  kill_within(
      kNothing,
      [&] {
        limits->permits.acquire();
        limits->permits.acquire();
        limits->permits.release();
        limits->permits.release();
      },
      [&] { expect_free(limits->permits); });
}

TEST_F(LocksKill, bounded_semaphore_has_all_permits_when_who_recovers_them_dies_too) {
  const Shared<Limits> limits;
  kill_within([&] { die_after([&] { limits->only.acquire(); }); },
              [&] {
                if (limits->only.try_acquire()) limits->only.release();
              },
              [&] { expect_free(limits->only); }, stride_unless_torture(47));
}

TEST_F(LocksKill, bounded_semaphore_forgets_no_waiter) {
  const Shared<Limits> limits;
  const auto use = [&] {
    limits->only.acquire();
    limits->only.release();
  };
  kill_within(Handover{.begin = kNothing,
                       .victim =
                           [&](const Action& others_wait) {
                             limits->only.acquire();
                             others_wait();
                             limits->only.release();
                           },
                       .others = {use, use},
                       .help = kNothing});
  kill_within(Waiting{.begin = [&] { limits->only.acquire(); },
                      .victim = use,
                      .others = {use},
                      .let_go =
                          [&] {
                            limits->only.release();
                            return true;
                          }},
              1999);
}

// Event

TEST_F(LocksKill, event_is_set_or_clear_after_a_death_at_any_instruction) {
  const Shared<Event> event;
  kill_within(
      kNothing,
      [&] {
        event->set();
        event->clear();
      },
      [&] {
        event->set();
        EXPECT_TRUE(event->is_set() && event->wait_for(0ms));
        event->clear();
        EXPECT_FALSE(event->is_set() || event->wait_for(0ms));
      });
}

TEST_F(LocksKill, event_forgets_no_waiter) {
  const Shared<Event> event;
  const auto wait = [&] { event->wait(); };
  kill_within(Handover{.begin = [&] { event->clear(); },
                       .victim =
                           [&](const Action& others_wait) {
                             others_wait();
                             event->set();
                           },
                       .others = {wait, wait},
                       .help =
                           [&] {
                             if (!event->is_set()) event->set();
                           }});
  kill_within(Waiting{.begin = [&] { event->clear(); },
                      .victim = wait,
                      .others = {wait},
                      .let_go =
                          [&] {
                            event->set();
                            return true;
                          }},
              23);
}

// Barrier

struct Round {
  Barrier alone{1};
  Barrier two{2};
  Barrier three{3};
};

void attend(Barrier& barrier) {
  barrier.attach();
  barrier.wait();
  barrier.detach();
}

TEST_F(LocksKill, barrier_is_whole_after_reset_when_a_party_died_at_any_instruction) {
  const Shared<Round> round;
  kill_within(
      kNothing, [&] { attend(round->alone); },
      [&] {
        round->alone.reset();
        round->alone.attach();
        EXPECT_EQ(round->alone.wait(), 0U);
        round->alone.detach();
      });
}

TEST_F(LocksKill, barrier_is_whole_after_reset_when_who_recovered_it_dies_too) {
  const Shared<Round> round;
  Barrier& barrier = round->alone;
  const auto survive = [&] {
    barrier.reset();
    barrier.attach();
    EXPECT_EQ(barrier.wait(), 0U);
    barrier.detach();
  };
  const auto lose_a_party = [&] {
    barrier.reset();
    die_after([&] { barrier.attach(); });
  };
  kill_within(lose_a_party, [&] { barrier.reset(); }, survive, stride_unless_torture(47));
  kill_within(
      lose_a_party,
      [&] {
        barrier.attach();
        barrier.detach();
      },
      survive, stride_unless_torture(47));
}

TEST_F(LocksKill, barrier_tells_all_who_wait_when_the_last_party_dies_at_any_instruction) {
  const Shared<Round> round;
  // Whether they went on or were told of the death: they do not wait.
  kill_within(Handover{.begin = [&] { round->two.reset(); },
                       .victim =
                           [&](const Action& others_wait) {
                             round->two.attach();
                             others_wait();
                             round->two.wait_for(1ms);  // alone at first, to bind the symbols
                             round->two.detach();
                           },
                       .others = {[&] { attend(round->two); }},
                       .help = kNothing},
              stride_unless_torture(29));
}

TEST_F(LocksKill, barrier_tells_all_who_wait_when_another_waiter_dies_at_any_instruction) {
  const Shared<Round> round;
  kill_within(Handover{.begin = [&] { round->three.reset(); },
                       .victim =
                           [&](const Action& others_wait) {
                             round->three.attach();
                             others_wait();
                             round->three.wait_for(1ms);
                             round->three.detach();
                           },
                       .others = {[&] { attend(round->three); }},
                       .help = [&] { attend(round->three); }},
              stride_unless_torture(53));
}

// Once

TEST_F(LocksKill, once_is_done_by_the_next_when_the_runner_dies_at_any_instruction) {
  Shared<Once> once;
  std::atomic<int> runs = 0;
  kill_within([&] { once = Shared<Once>{}; }, [&] { once->call(kNothing); },
              [&] {
                const bool done = once->is_done();
                runs = 0;
                once->call([&] { ++runs; });
                EXPECT_EQ(runs, done ? 0 : 1);
                EXPECT_TRUE(once->is_done());
              });
}

TEST_F(LocksKill, once_forgets_no_waiter) {
  Shared<Once> once;
  const auto call = [&] { once->call(kNothing); };
  kill_within(Handover{.begin = [&] { once = Shared<Once>{}; },
                       .victim = [&](const Action& others_wait) { once->call(others_wait); },
                       .others = {call, call},
                       .help = kNothing});
}

// Controls: glibc's

pthread_rwlock_t make_rwlock() {
  pthread_rwlock_t lock;
  pthread_rwlockattr_t attributes;
  ::pthread_rwlockattr_init(&attributes);
  ::pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  ::pthread_rwlock_init(&lock, &attributes);
  ::pthread_rwlockattr_destroy(&attributes);
  return lock;
}

struct PosixShared {
  pthread_rwlock_t lock = make_rwlock();
};

TEST(LocksKillControl, a_posix_rwlock_is_never_free_of_a_killed_reader) {
  const Shared<PosixShared> posix;
  die_after([&] { ::pthread_rwlock_rdlock(&posix->lock); });
  EXPECT_FALSE(eventually([&] { return ::pthread_rwlock_trywrlock(&posix->lock) == 0; },
                          Deadline::in(kInVain)));
  const Shared<SharedMutex> ours;
  die_after([&] { ours->lock_shared(); });
  EXPECT_TRUE(ours->try_lock());
}

struct PosixFlag {
  PosixFlag() {
    pthread_mutexattr_t mutex_attributes;
    ::pthread_mutexattr_init(&mutex_attributes);
    ::pthread_mutexattr_setpshared(&mutex_attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_setrobust(&mutex_attributes, PTHREAD_MUTEX_ROBUST);
    ::pthread_mutex_init(&mutex, &mutex_attributes);
    ::pthread_mutexattr_destroy(&mutex_attributes);
    pthread_condattr_t attributes;
    ::pthread_condattr_init(&attributes);
    ::pthread_condattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_cond_init(&changed, &attributes);
    ::pthread_condattr_destroy(&attributes);
  }
  void await() {
    ::pthread_mutex_lock(&mutex);
    for (;;) ::pthread_cond_wait(&changed, &mutex);
  }

  pthread_mutex_t mutex;
  pthread_cond_t changed;
};

// Whether somebody comes to the end of some notifications of those who wait, after another waiter
// was killed.
bool notifier_survives(const Action& wait, const Action& notify, std::chrono::milliseconds time) {
  {
    const Forked victim{wait};
    EXPECT_TRUE(asleep(victim));
  }
  std::list<Forked> waiters;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(asleep(waiters.emplace_back(wait)));
  Gate done;
  const Forked notifier{[&] {
    for (int i = 0; i < 1000; ++i) {
      notify();
      std::this_thread::yield();  // who was woken waits again meanwhile
    }
    done.open();
  }};
  return done.wait(Deadline::in(time));
}

TEST(LocksKillControl, a_posix_condition_never_lets_its_notifier_go_once_a_waiter_was_killed) {
  const Shared<PosixFlag> posix;
  EXPECT_FALSE(notifier_survives([&] { posix->await(); },
                                 [&] { ::pthread_cond_signal(&posix->changed); }, kInVain));
  const Shared<Flag> ours;
  EXPECT_TRUE(notifier_survives([&] { ours->await(); }, [&] { ours->changed.notify_one(); },
                                test::kPatience));
}

// At random

// So many processes do `work`, which counts its rounds, again and again, while one after the other
// is stopped or killed and replaced.
void storm(const std::vector<Action>& works, const std::atomic<long>& rounds) {
  constexpr int kKills = test::kSanitized ? 30 : 200;
  std::list<std::pair<Forked, std::size_t>> children;
  const auto start = [&](std::size_t which) {
    children.emplace_back(Forked{[&] {
                            for (;;) works[which]();
                          }},
                          which);
  };
  for (std::size_t i = 0; i < works.size(); ++i) start(i);
  std::mt19937 random{11};
  for (int i = 0; i < kKills; ++i) {
    const long before = rounds;
    ASSERT_TRUE(eventually([&] { return rounds > before; })) << "after " << i << " kills";
    std::this_thread::sleep_for(std::chrono::microseconds{random() % 1500});
    auto& [victim, which] = children.front();
    if (random() % 4 == 0) victim.kill(SIGSTOP);
    victim.kill(SIGKILL);
    ASSERT_EQ(victim.wait(), killed_by(SIGKILL));
    start(which);
    children.pop_front();
  }
}

TEST(LocksKillAtRandom, shared_mutex_goes_on_and_shows_every_half_made_change) {
  struct Account {
    SharedMutex mutex;
    std::atomic<long> first = 0;
    std::atomic<long> second = 0;
    std::atomic<long> torn = 0;
    std::atomic<long> rounds = 0;
  };
  const Shared<Account> account;
  const auto change = [&] {
    const std::unique_lock lock{account->mutex};
    if (account->first != account->second) {
      if (!account->mutex.took_over()) ++account->torn;
      account->second = account->first.load();
    }
    ++account->first;
    ++account->second;
    ++account->rounds;
  };
  const auto look = [&] {
    const std::shared_lock lock{account->mutex};
    if (account->first != account->second && !account->mutex.took_over()) ++account->torn;
    ++account->rounds;
  };
  storm({change, look, change, look}, account->rounds);
  EXPECT_EQ(account->torn, 0);
  expect_free(account->mutex);
}

TEST(LocksKillAtRandom, condition_goes_on) {
  struct Buffer {
    RecursiveMutex mutex;
    Condition filled;
    Condition emptied;
    int items = 0;
    std::atomic<long> rounds = 0;
  };
  const Shared<Buffer> buffer;
  const auto put = [&] {
    std::unique_lock lock{buffer->mutex};
    buffer->emptied.wait(lock, [&] { return buffer->items < 4; });
    ++buffer->items;
    lock.unlock();
    buffer->filled.notify_one();
  };
  const auto take = [&] {
    std::unique_lock lock{buffer->mutex};
    buffer->filled.wait(lock, [&] { return buffer->items > 0; });
    --buffer->items;
    lock.unlock();
    buffer->emptied.notify_one();
    ++buffer->rounds;
  };
  storm({put, take, put, take}, buffer->rounds);
}

TEST(LocksKillAtRandom, semaphores_go_on_and_the_bounded_one_is_whole_at_the_end) {
  struct State {
    Semaphore tickets;
    BoundedSemaphore permits{2};
    std::atomic<long> rounds = 0;
  };
  const Shared<State> state;
  const auto work = [&] {
    state->permits.acquire();
    state->tickets.release();  // each leaves one behind if it is killed here, and takes none away
    state->tickets.acquire();
    state->permits.release();
    ++state->rounds;
  };
  storm({work, work, work, work}, state->rounds);
  expect_free(state->permits);
}

TEST(LocksKillAtRandom, barrier_goes_on_after_each_reset) {
  struct State {
    Barrier barrier{3};
    std::atomic<long> rounds = 0;
  };
  const Shared<State> state;
  const auto attend_for_ever = [&] {
    for (bool attached = false; !attached;) {
      try {
        state->barrier.attach();
        attached = true;
      } catch (const Error&) {  // the place of a dead party counts in this round
        state->barrier.reset();
      }
    }
    for (;;) {
      if (state->barrier.wait([&] { ++state->rounds; })) continue;
      state->barrier.reset();
    }
  };
  storm({attend_for_ever, attend_for_ever, attend_for_ever}, state->rounds);
}

TEST(LocksKillAtRandom, event_goes_on) {
  struct State {
    Event event;
    std::atomic<long> rounds = 0;
  };
  const Shared<State> state;
  const auto set = [&] {
    state->event.set();
    state->event.clear();
    std::this_thread::yield();
  };
  const auto wait = [&] {
    state->event.wait();
    ++state->rounds;
  };
  storm({set, wait, set, wait}, state->rounds);
}

}  // namespace
}  // namespace procpool::ipc
