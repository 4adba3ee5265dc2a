#include "ipc/mutex.hpp"

#include <pthread.h>
#include <unistd.h>

#include <mutex>
#include <vector>

#include "ipc/shared.hpp"
#include "tools/ipc_demo/scenario.hpp"

namespace procpool::demo {
namespace {

struct Account {
  ipc::Mutex mutex;
  long balance = 0;  // and it changes in two steps:
  long moves = 0;
};

void play(Stage& stage) {
  constexpr int kClerks = 3;
  constexpr long kMoves = 100000;
  ipc::Shared<Account> account;
  account->mutex.lock();
  stage.say("holds the lock of a shared account, and forks ", kClerks, " clerks");
  std::vector<proc::Process> clerks;
  for (int i = 1; i <= kClerks; ++i) {
    clerks.push_back(stage.enter(text("clerk ", i), [&] {
      stage.say("waits for the lock, whose owner is ", account->mutex.owner().id());
      account->mutex.lock();
      stage.say("got it, gives it back; now moves 1 ", kMoves, " times");
      account->mutex.unlock();
      for (long move = 0; move < kMoves; ++move) {
        const std::scoped_lock lock{account->mutex};
        ++account->balance;
        ++account->moves;
      }
      stage.say("is ready");
    }));
  }
  for (auto& clerk : clerks) Stage::await_sleep(clerk);
  stage.say("sees all of them sleep, unlocks");
  account->mutex.unlock();
  for (auto& clerk : clerks) stage.finish(clerk);
  stage.prove("the balance, every clerk's moves in it", kClerks * kMoves, account->balance);
  stage.prove("owners that died", 0, account->mutex.takeovers());
}

void kill(Stage& stage) {
  ipc::Shared<Account> account;
  Cue half_done;
  auto owner = stage.enter("owner", [&] {
    account->mutex.lock();
    account->balance = 100;
    stage.say("has locked, changed the balance but not the count of moves, and works on");
    half_done.give();
    ::pause();
  });
  half_done.await();
  auto waiter = stage.enter("waiter", [&] {
    stage.say("waits for the lock");
    const std::scoped_lock lock{account->mutex};
    stage.say("got it ", stage.ms_since_kill(), " ms after the kill");
    stage.prove("the waiter is told that the owner died", true, account->mutex.took_over());
    stage.prove("the balance as the owner left it", 100, account->balance);
    stage.prove("the moves as the owner left them", 0, account->moves);
    account->moves = 1;
    stage.say("took_over() says that the data may be half-changed: mends them");
  });
  stage.await_sleep(waiter);
  stage.say("sees that the waiter sleeps");
  stage.kill(owner);
  stage.finish(waiter);
  {
    const std::scoped_lock lock{account->mutex};
    stage.say("locks at once: nothing special any more");
    stage.prove("the next one is told nothing", false, account->mutex.took_over());
  }
  stage.prove("owners that died", 1, account->mutex.takeovers());
}

// What glibc has for processes that may die.
struct RobustMutex {
  RobustMutex() {
    pthread_mutexattr_t attributes;
    ::pthread_mutexattr_init(&attributes);
    ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    ::pthread_mutex_init(&native, &attributes);
  }
  void lock() { ::pthread_mutex_lock(&native); }
  void unlock() { ::pthread_mutex_unlock(&native); }

  pthread_mutex_t native;
};

template <typename Lockable>
void lock_and_unlock(ipc::Shared<Lockable>& mutex) {
  mutex->lock();
  mutex->unlock();
}

std::vector<Measurement> bench() {
  ipc::Shared<ipc::Mutex> ours;
  ipc::Shared<RobustMutex> robust;
  const auto by_us = [&] { lock_and_unlock(ours); };
  const auto by_glibc = [&] { lock_and_unlock(robust); };
  return {{"Mutex, lock and unlock, alone", ns_a_call(by_us)},
          {"robust pthread_mutex_t, alone", ns_a_call(by_glibc)},
          {"Mutex, 2 processes at it", ns_a_call_of(2, by_us)},
          {"robust pthread_mutex_t, 2 processes at it", ns_a_call_of(2, by_glibc)}};
}

}  // namespace

const Scenario mutex_scenario{
    .name = "mutex",
    .summary = "one at a time, in shared memory",
    .when =
        "Use a mutex where several processes change the same data in shared memory. It is a "
        "standard Lockable, so std::scoped_lock and std::unique_lock take it, and an "
        "uncontended lock costs no system call. When its owner dies the next one has it, and "
        "took_over() tells him to look whether the data are whole.",
    .killed = "the owner of the lock, in the middle of a change",
    .play = play,
    .kill = kill,
    .bench = bench,
};

}  // namespace procpool::demo
