#include "ipc/barrier.hpp"

#include <pthread.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <vector>

#include "ipc/shared.hpp"
#include "tools/ipc_demo/scenario.hpp"

namespace procpool::demo {
namespace {

constexpr std::uint32_t kParties = 3;

struct Plan {
  ipc::Barrier barrier{kParties};
  std::array<std::atomic<int>, kParties> done{};  // rounds, of each party
  std::atomic<int> rounds = 0;
  std::atomic<int> ahead = 0;  // times that a party met one in an earlier round
};

void work(Stage& stage, Plan& plan, std::size_t me) {
  constexpr int kRounds = 3;
  plan.barrier.attach();
  for (int round = 1; round <= kRounds; ++round) {
    plan.done.at(me) = round;
    stage.say("has done its part of round ", round, ", waits for the others");
    const auto place = plan.barrier.wait([&] { ++plan.rounds; });
    for (const auto& done : plan.done) plan.ahead += done < round ? 1 : 0;
    if (place.value() + 1 == kParties) stage.say("came last, and let all of them go");
  }
  plan.barrier.detach();
}

void play(Stage& stage) {
  ipc::Shared<Plan> plan;
  stage.say("makes a barrier for ", kParties, " parties, forks them");
  std::vector<proc::Process> parties;
  for (std::size_t i = 0; i < kParties; ++i) {
    parties.push_back(stage.enter(text("party ", i + 1), [&, i] { work(stage, *plan, i); }));
    if (i + 1 < kParties) Stage::await_sleep(parties.back());
  }
  for (auto& party : parties) stage.finish(party);
  stage.prove("rounds, the action once in each", 3, plan->rounds.load());
  stage.prove("parties met that were a round behind", 0, plan->ahead.load());
  stage.prove("broken", false, plan->barrier.is_broken());
}

void kill(Stage& stage) {
  ipc::Shared<Plan> plan;
  Cue attached;
  auto victim = stage.enter("party 1", [&] {
    plan->barrier.attach();
    stage.say("is a party, and works on its part");
    attached.give();
    ::pause();
  });
  attached.await();
  std::vector<proc::Process> survivors;
  for (int i = 2; i <= 3; ++i) {
    survivors.push_back(stage.enter(text("party ", i), [&] {
      plan->barrier.attach();
      stage.say("has arrived, waits for the others");
      const auto place = plan->barrier.wait();
      stage.say("is told ", stage.ms_since_kill(), " ms after the kill: the barrier is broken");
      stage.prove("a survivor is let go by a round that ended", false, place.has_value());
      plan->barrier.detach();
    }));
  }
  for (auto& survivor : survivors) Stage::await_sleep(survivor);
  stage.kill(victim);
  for (auto& survivor : survivors) stage.finish(survivor);
  stage.prove("broken", true, plan->barrier.is_broken());

  plan->barrier.reset();
  stage.say("resets it, forks three new parties");
  std::vector<proc::Process> parties;
  for (int i = 4; i <= 6; ++i) {
    parties.push_back(stage.enter(text("party ", i), [&] {
      plan->barrier.attach();
      if (plan->barrier.wait([&] { ++plan->rounds; })) stage.say("goes on with the others");
      plan->barrier.detach();
    }));
  }
  for (auto& party : parties) stage.finish(party);
  stage.prove("rounds that ended after the reset", 1, plan->rounds.load());
}

struct Two {
  ipc::Barrier barrier{2};
};

struct PosixTwo {
  PosixTwo() {
    pthread_barrierattr_t attributes;
    ::pthread_barrierattr_init(&attributes);
    ::pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_barrier_init(&native, &attributes, 2);
  }
  pthread_barrier_t native;
};

double by_barrier() {
  ipc::Shared<Two> two;
  const auto round = [&, attached = false]() mutable {
    if (!attached) two->barrier.attach();
    attached = true;
    two->barrier.wait();
  };
  return ns_a_turn(round, round);
}

double by_pthread() {
  ipc::Shared<PosixTwo> two;
  const auto round = [&] { ::pthread_barrier_wait(&two->native); };
  return ns_a_turn(round, round);
}

std::vector<Measurement> bench() {
  return {{"Barrier, a round of 2 processes", by_barrier()},
          {"pthread_barrier_t, a round of 2 processes", by_pthread()}};
}

}  // namespace

const Scenario barrier_scenario{
    .name = "barrier",
    .summary = "a fixed number of processes wait for each other, round by round",
    .when =
        "Use a barrier when processes compute in rounds and none may begin the next one before "
        "all have ended this one. Parties attach, so the barrier knows whom it waits for: the "
        "death of one breaks it, and the others are told instead of waiting for ever. When "
        "those who wait are not a fixed number, use an event or a condition.",
    .killed = "a party, while the others wait for it",
    .play = play,
    .kill = kill,
    .bench = bench,
};

}  // namespace procpool::demo
