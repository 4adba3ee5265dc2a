#include "ipc/condition.hpp"

#include <pthread.h>
#include <unistd.h>

#include <mutex>
#include <vector>

#include "ipc/mutex.hpp"
#include "ipc/shared.hpp"
#include "tools/ipc_demo/scenario.hpp"

namespace procpool::demo {
namespace {

struct Stock {
  ipc::Mutex mutex;
  ipc::Condition changed;
  int items = 0;
  int taken = 0;
};

void put(Stock& stock, int items) {
  {
    const std::scoped_lock lock{stock.mutex};
    stock.items += items;
  }
  stock.changed.notify_all();
}

// Waits until there are so many, and takes them.
void take(Stock& stock, int items) {
  std::unique_lock lock{stock.mutex};
  stock.changed.wait(lock, [&] { return stock.items >= items; });
  stock.items -= items;
  stock.taken += items;
}

void play(Stage& stage) {
  ipc::Shared<Stock> stock;
  stage.say("makes an empty stock with a mutex and a condition, forks two who want some of it");
  std::vector<proc::Process> takers;
  for (const int wanted : {1, 3}) {
    takers.push_back(stage.enter(text("wants ", wanted), [&, wanted] {
      stage.say("waits until there are ", wanted);
      take(*stock, wanted);
      stage.say("took ", wanted);
    }));
  }
  for (auto& taker : takers) Stage::await_sleep(taker);
  stage.say("sees both sleep; puts 1");
  put(*stock, 1);
  stage.finish(takers[0]);
  Stage::await_sleep(takers[1]);
  stage.say("sees the other one sleep: for him it was too little; puts 3");
  put(*stock, 3);
  stage.finish(takers[1]);
  stage.prove("taken", 4, stock->taken);
  stage.prove("left", 0, stock->items);
}

void kill(Stage& stage) {
  ipc::Shared<Stock> stock;
  auto victim = stage.enter("waiter 1", [&] {
    stage.say("waits until there is 1");
    take(*stock, 1);
  });
  auto survivor = stage.enter("waiter 2", [&] {
    stage.say("waits until there is 1");
    take(*stock, 1);
    stage.say("took it ", stage.ms_since_kill(), " ms after the kill");
  });
  Stage::await_sleep(victim);
  Stage::await_sleep(survivor);
  stage.kill(victim);
  constexpr int kNotifications = 1000;
  for (int i = 0; i < kNotifications; ++i) stock->changed.notify_one();
  stage.say("notified ", kNotifications,
            " times: with glibc's pthread_cond_t the third never returns");
  put(*stock, 1);
  stage.finish(survivor);
  stage.prove("taken by the survivor", 1, stock->taken);

  auto changer = stage.enter("changer", [&] {
    const std::scoped_lock lock{stock->mutex};
    ++stock->items;
    stage.say("has put 1, and neither unlocked nor notified");
    ::pause();
  });
  Stage::await_sleep(changer);
  auto waiter = stage.enter("waiter 3", [&] {
    stage.say("wants 1");
    std::unique_lock lock{stock->mutex};
    bool told = false;
    stock->changed.wait(lock, [&] {
      told = told || stock->mutex.took_over();
      return stock->items >= 1;
    });
    stage.say("has the lock and the item ", stage.ms_since_kill(), " ms after the kill");
    stage.prove("is told that the lock's owner died", true, told);
  });
  Stage::await_sleep(waiter);
  stage.kill(changer);
  stage.finish(waiter);
}

// Two processes hand a turn to each other.
struct Turns {
  ipc::Mutex mutex;
  ipc::Condition changed;
  bool mine = true;
};

double by_condition() {
  ipc::Shared<Turns> turns;
  const auto turn = [&](bool mine) {
    std::unique_lock lock{turns->mutex};
    turns->changed.wait(lock, [&] { return turns->mine == mine; });
    turns->mine = !mine;
    turns->changed.notify_one();
  };
  return ns_a_turn([&] { turn(true); }, [&] { turn(false); });
}

struct PosixTurns {
  PosixTurns() {
    pthread_mutexattr_t for_mutex;
    ::pthread_mutexattr_init(&for_mutex);
    ::pthread_mutexattr_setpshared(&for_mutex, PTHREAD_PROCESS_SHARED);
    ::pthread_mutex_init(&mutex, &for_mutex);
    pthread_condattr_t for_changed;
    ::pthread_condattr_init(&for_changed);
    ::pthread_condattr_setpshared(&for_changed, PTHREAD_PROCESS_SHARED);
    ::pthread_cond_init(&changed, &for_changed);
  }

  pthread_mutex_t mutex;
  pthread_cond_t changed;
  bool mine = true;
};

double by_pthread() {
  ipc::Shared<PosixTurns> turns;
  const auto turn = [&](bool mine) {
    ::pthread_mutex_lock(&turns->mutex);
    while (turns->mine != mine) ::pthread_cond_wait(&turns->changed, &turns->mutex);
    turns->mine = !mine;
    ::pthread_cond_signal(&turns->changed);
    ::pthread_mutex_unlock(&turns->mutex);
  };
  return ns_a_turn([&] { turn(true); }, [&] { turn(false); });
}

std::vector<Measurement> bench() {
  ipc::Shared<Stock> stock;
  return {{"Condition, a turn there and back", by_condition()},
          {"pthread_cond_t, a turn there and back", by_pthread()},
          {"Condition, notify when nobody waits", ns_a_call([&] { stock->changed.notify_one(); })}};
}

}  // namespace

const Scenario condition_scenario{
    .name = "condition",
    .summary = "wait under a lock until what it protects is as one wants it",
    .when =
        "Use a condition when processes wait for something that only your data can tell: three "
        "items, a free slot, a finished phase. It waits with a predicate and gives the lock up "
        "meanwhile, and it works with any lock of ours. For plain hand-over take a queue, for "
        "one yes or no an event.",
    .killed = "one who waits, then one who made a change and did not notify",
    .play = play,
    .kill = kill,
    .bench = bench,
};

}  // namespace procpool::demo
