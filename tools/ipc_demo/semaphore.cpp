#include "ipc/semaphore.hpp"

#include <semaphore.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "ipc/bounded_semaphore.hpp"
#include "ipc/shared.hpp"
#include "tools/ipc_demo/scenario.hpp"

namespace procpool::demo {
namespace {

constexpr std::uint32_t kPermits = 2;

struct Bath {
  ipc::BoundedSemaphore permits{kPermits};
  std::atomic<int> inside = 0;
  std::atomic<int> most_inside = 0;
  std::atomic<int> visits = 0;
};

void visit(Bath& bath) {
  bath.permits.acquire();
  const int inside = ++bath.inside;
  int most = bath.most_inside;
  while (most < inside && !bath.most_inside.compare_exchange_weak(most, inside)) {
  }
  ++bath.visits;
  --bath.inside;
  bath.permits.release();
}

void play(Stage& stage) {
  constexpr int kGuests = 4;
  constexpr int kVisits = 1000;
  ipc::Shared<Bath> bath;
  ipc::Shared<ipc::Semaphore> opening;
  stage.say("makes a semaphore of value 0, and ", kPermits, " permits; forks ", kGuests, " guests");
  std::vector<proc::Process> guests;
  for (int i = 1; i <= kGuests; ++i) {
    guests.push_back(stage.enter(text("guest ", i), [&] {
      stage.say("waits: the semaphore is 0");
      opening->acquire();
      stage.say("came through, asks ", kVisits, " times for a permit");
      for (int n = 0; n < kVisits; ++n) visit(*bath);
      stage.say("is ready");
    }));
  }
  for (auto& guest : guests) Stage::await_sleep(guest);
  stage.say("sees all of them sleep, releases ", kGuests);
  opening->release(kGuests);
  for (auto& guest : guests) stage.finish(guest);
  stage.prove("visits", kGuests * kVisits, bath->visits.load());
  stage.prove("ever more inside than there are permits", false,
              bath->most_inside > static_cast<int>(kPermits));
  stage.prove("permits afterwards", kPermits, bath->permits.value());
}

void kill(Stage& stage) {
  ipc::Shared<ipc::BoundedSemaphore> one;
  auto holder = stage.enter("holder", [&] {
    one->acquire();
    stage.say("has the only permit, and works on");
    ::pause();
  });
  Stage::await_sleep(holder);
  auto waiter = stage.enter("waiter", [&] {
    stage.say("waits for a permit");
    one->acquire();
    stage.say("got it ", stage.ms_since_kill(), " ms after the kill");
    one->release();
  });
  Stage::await_sleep(waiter);
  stage.kill(holder);
  stage.finish(waiter);
  stage.prove("permits afterwards", 1, one->value());
  stage.prove("permits taken back from the dead", 1, one->takeovers());

  ipc::Shared<ipc::Semaphore> plain;
  plain->release();
  auto taker = stage.enter("taker", [&] {
    plain->acquire();
    stage.say("took the plain semaphore down to ", plain->value(), ", which nobody owns");
    ::pause();
  });
  Stage::await_sleep(taker);
  stage.kill(taker);
  stage.say("sees ", plain->value(), ": what was taken from a plain semaphore stays taken");
  stage.prove("the plain semaphore's value afterwards", 0, plain->value());
}

struct PosixSemaphore {
  PosixSemaphore() { ::sem_init(&native, 1, 1); }
  sem_t native;
};

struct One {
  ipc::Semaphore semaphore{1};
};

std::vector<Measurement> bench() {
  ipc::Shared<One> ours;
  ipc::Shared<ipc::BoundedSemaphore> bounded;
  ipc::Shared<PosixSemaphore> posix;
  const auto by_us = [&] {
    ours->semaphore.acquire();
    ours->semaphore.release();
  };
  const auto by_permit = [&] {
    bounded->acquire();
    bounded->release();
  };
  const auto by_posix = [&] {
    ::sem_wait(&posix->native);
    ::sem_post(&posix->native);
  };
  return {{"Semaphore, acquire and release, alone", ns_a_call(by_us)},
          {"BoundedSemaphore, alone", ns_a_call(by_permit)},
          {"sem_wait(3) and sem_post(3), alone", ns_a_call(by_posix)},
          {"Semaphore, 2 processes at it", ns_a_call_of(2, by_us)},
          {"BoundedSemaphore, 2 processes at it", ns_a_call_of(2, by_permit)},
          {"sem_wait(3) and sem_post(3), 2 processes at it", ns_a_call_of(2, by_posix)}};
}

}  // namespace

const Scenario semaphore_scenario{
    .name = "semaphore",
    .summary = "a count to wait for, and permits that come back from the dead",
    .when =
        "Use a semaphore to count what some processes give and others take. Use a bounded one to "
        "let at most so many in at once: each permit knows its holder, and that of a killed one "
        "is somebody else's soon. When there is one permit and data behind it, use a mutex, "
        "which says that its owner died.",
    .killed = "the holder of the only permit, then one who took from a plain semaphore",
    .play = play,
    .kill = kill,
    .bench = bench,
};

}  // namespace procpool::demo
