#include "ipc/queue.hpp"

#include <unistd.h>

#include <array>
#include <atomic>
#include <vector>

#include "ipc/shared.hpp"
#include "tools/ipc_demo/links.hpp"
#include "tools/ipc_demo/queue_links.hpp"
#include "tools/ipc_demo/scenario.hpp"

namespace procpool::demo {
namespace {

constexpr int kProducers = 2;
constexpr int kConsumers = 2;

struct Job {
  int producer;
  int number;
};

struct Tally {
  std::atomic<long> jobs = 0;
  std::atomic<long> sum = 0;
  std::atomic<long> out_of_order = 0;
};

void consume(Stage& stage, ipc::Queue<Job>& jobs, Tally& tally) {
  stage.say("pops: the queue is empty, so it waits");
  std::array<int, kProducers> last{};
  long count = 0;
  while (const auto job = jobs.pop()) {
    if (++count == 1) stage.say("got job ", job->number, " of producer ", job->producer + 1);
    int& before = last.at(static_cast<std::size_t>(job->producer));
    if (job->number <= before) ++tally.out_of_order;
    before = job->number;
    tally.sum += job->number;
  }
  tally.jobs += count;
  stage.say("got ", count, " jobs, then: closed and empty");
}

void play(Stage& stage) {
  constexpr std::size_t kCapacity = 8;
  constexpr int kJobs = 10000;
  ipc::Queue<Job> jobs{kCapacity};
  ipc::Shared<Tally> tally;
  stage.say("makes a queue of ", kCapacity, " jobs, forks ", kConsumers, " consumers");
  std::vector<proc::Process> consumers;
  for (int i = 1; i <= kConsumers; ++i) {
    consumers.push_back(stage.enter(text("consumer ", i), [&] { consume(stage, jobs, *tally); }));
  }
  for (auto& consumer : consumers) Stage::await_sleep(consumer);
  stage.say("sees them sleep, forks ", kProducers, " producers");
  std::vector<proc::Process> producers;
  for (int i = 0; i < kProducers; ++i) {
    producers.push_back(stage.enter(text("producer ", i + 1), [&, i] {
      stage.say("pushes jobs 1 to ", kJobs, ", waits whenever the queue is full");
      for (int number = 1; number <= kJobs; ++number) jobs.push({.producer = i, .number = number});
      stage.say("has pushed all");
    }));
  }
  for (auto& producer : producers) stage.finish(producer);
  stage.say("closes the queue");
  jobs.close();
  for (auto& consumer : consumers) stage.finish(consumer);
  constexpr long kSum = long{kJobs} * (kJobs + 1) / 2;
  stage.prove("jobs that arrived", kProducers * kJobs, tally->jobs.load());
  stage.prove("the sum of their numbers", kProducers * kSum, tally->sum.load());
  stage.prove("jobs that came before an earlier one of their producer", 0,
              tally->out_of_order.load());
  stage.prove("jobs lost", 0, jobs.lost_by_producers() + jobs.lost_by_consumers());
}

void kill_a_producer(Stage& stage, ipc::Queue<Job>& jobs) {
  auto producer = stage.enter("producer 1", [&] {
    auto loan = jobs.loan();
    (*loan)->number = 1;
    stage.say("is writing job 1 in the queue itself, and has not committed it");
    ::pause();
  });
  Stage::await_sleep(producer);
  auto consumer = stage.enter("consumer", [&] {
    stage.say("waits: job 1 comes first");
    const auto job = jobs.pop();
    stage.say("got job ", job->number, " ", stage.ms_since_kill(), " ms after the kill");
    stage.prove("the job that comes, after the one that its producer took along", 2, job->number);
  });
  jobs.push({.producer = 1, .number = 2});
  stage.say("has pushed job 2 behind it");
  Stage::await_sleep(consumer);
  stage.kill(producer);
  stage.finish(consumer);
  stage.prove("counted as lost by producers", 1, jobs.lost_by_producers());
}

void kill_a_consumer(Stage& stage, ipc::Queue<Job>& jobs) {
  jobs.push({.producer = 1, .number = 3});
  auto consumer = stage.enter("consumer 2", [&] {
    const auto job = jobs.borrow();
    stage.say("is reading job ", (*job)->number, " in the queue itself");
    ::pause();
  });
  Stage::await_sleep(consumer);
  stage.kill(consumer);
  std::size_t pushed = 0;
  while (pushed < jobs.capacity()) {
    jobs.push({.producer = 1, .number = 4});
    ++pushed;
  }
  stage.say("has filled the queue to the brim with ", pushed, " jobs ", stage.ms_since_kill(),
            " ms after the kill: the place that the dead one held is back");
  std::size_t popped = 0;
  while (jobs.try_pop()) ++popped;
  stage.prove("jobs that fit in afterwards, and came out", jobs.capacity(), popped);
  stage.prove("counted as lost by consumers", 1, jobs.lost_by_consumers());
}

void kill(Stage& stage) {
  ipc::Queue<Job> jobs{4};
  stage.say("makes a queue of ", jobs.capacity(), " jobs");
  kill_a_producer(stage, jobs);
  kill_a_consumer(stage, jobs);
}

// A batch counts as one message.
double batched() {
  return one_way<BatchLink>(64) / BatchLink::kMessages;
}

std::vector<Measurement> bench() {
  return {{"Queue, 64 bytes one way", one_way<QueueLink<64>>(64)},
          {"Boost's message_queue, 64 bytes", one_way<BoostLink>(64)},
          {"a bare spinning ring, 64 bytes", one_way<BareRingLink>(64)},
          {"Queue, 64 bytes in batches of 64, each", batched()},
          {"Queue, 64 KiB one way", one_way<QueueLink<65536>>(65536)},
          {"Boost's message_queue, 64 KiB", one_way<BoostLink>(65536)},
          {"Queue, 64 bytes there and back", round_trip<QueueLink<64>>(64)},
          {"Boost's message_queue, there and back", round_trip<BoostLink>(64)},
          {"a bare spinning ring, there and back", round_trip<BareRingLink>(64)}};
}

}  // namespace

const Scenario queue_scenario{
    .name = "queue",
    .summary = "messages from many to many, through shared memory",
    .when =
        "Use a queue to hand work from any number of producers to any number of consumers, fast: "
        "no system call while both sides are busy. It is bounded, so producers wait when "
        "consumers are slow, and closing it ends everybody in good order. A killed process "
        "loses at most the message or batch in its hands, which is counted, and stops nobody.",
    .killed = "a producer in the middle of a message, then a consumer that reads one",
    .play = play,
    .kill = kill,
    .bench = bench,
};

}  // namespace procpool::demo
