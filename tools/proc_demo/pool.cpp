#include "proc/pool.hpp"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

using namespace std::chrono_literals;

constexpr int kWorkers = 2;
constexpr std::size_t kWorkersInAll = kWorkers + 3;  // with the replacements
constexpr auto kDeadline = 50ms;

struct Counts {
  std::atomic<int> workers = 0;
  std::atomic<int> attempts = 0;
  std::array<std::atomic<pid_t>, kWorkersInAll> pids{};  // in the order in which they came
  std::atomic<pid_t> busy = 0;                           // who has begun a task that does not end
};

// What the director and the workers share.
struct Props {
  Stage& stage;
  ipc::Shared<Counts> counts{};
  std::array<Cue, kWorkersInAll> came{};  // the first worker is there, the second ...
  std::array<Cue, 3> begun{};             // a task that does not end has begun
  Cue never{};
};

// A worker is a copy of the director, so that it has the same at the same place.
struct Place {
  const Props* props;
};

void come(Place place) {
  const auto& [props] = place;
  const auto number = static_cast<std::size_t>(++props->counts->workers);
  props->stage.enter(demo::text("worker ", number));
  props->counts->pids.at(number - 1) = ::getpid();
  props->came.at(number - 1).give();
}

int multiply(Place place, int a, int b) {
  place.props->stage.say("does the task: ", a, " times ", b);
  return a * b;
}

int work_for_ever(Place place, std::size_t cue) {
  const auto& [props] = place;
  props->counts->busy = ::getpid();
  props->begun.at(cue).give();
  props->stage.await(props->never);
  return 0;
}

int succeed_in_the_end(Place place, std::size_t cue) {
  const int attempt = ++place.props->counts->attempts;
  place.props->stage.say("does the task: attempt ", attempt);
  return attempt == 1 ? work_for_ever(place, cue) : attempt;
}

class Director {
 public:
  explicit Director(Stage& stage)
      : stage_{stage},
        props_{stage},
        pool_{{.workers = kWorkers, .initializer = proc::Call{&come, place_}}, nursery_} {}

  pid_t nursery() const { return nursery_.pid(); }

  void show() {
    meet_all();
    show_task();
    show_death();
    show_retry();
    show_deadline();
    show_end();
  }

 private:
  void meet_all() {
    const ProcStat nursery = stage_.meet(nursery_.pid());
    stage_.prove("parent of the nursery, which forks the workers", ::getpid(), nursery.ppid);
    for (int i = 0; i < kWorkers; ++i) {
      stage_.prove("parent of a worker", nursery_.pid(), await_worker().ppid);
    }
  }

  void show_task() {
    stage_.say("submits 6 times 7");
    proc::Future<int> answer = pool_.submit(&multiply, place_, 6, 7);
    stage_.prove("the result that comes back", 42, answer.get());
  }

  void show_death() {
    proc::Future<int> lost = pool_.submit(&work_for_ever, place_, 0U);
    const pid_t victim = await_begin(0);
    proc::Future<int> other = pool_.submit(&multiply, place_, 2, 3);
    stage_.signal(victim, SIGKILL);
    std::string told = "no failure";
    try {
      lost.get();
    } catch (const proc::WorkerDied& death) {
      told = death.status()->text();
    }
    stage_.prove("its task fails with WorkerDied", "killed by SIGKILL", told);
    stage_.prove("another task, meanwhile", 6, other.get());
    stage_.prove("the nursery has reaped the worker", '-', stage_.look(victim));
    await_worker();
    stage_.prove("workers, with the replacement", kWorkers, children_of(nursery_.pid()).size());
  }

  void show_retry() {
    proc::Future<int> kept = pool_.submit({.idempotent = true}, &succeed_in_the_end, place_, 1U);
    const pid_t victim = await_begin(1);
    stage_.signal(victim, SIGKILL);
    stage_.prove("the idempotent task succeeds at attempt", 2, kept.get());
    stage_.look(victim);
    await_worker();
  }

  void show_deadline() {
    stage_.say("submits a task that never ends, with a deadline of ", kDeadline.count(), " ms");
    const auto start = std::chrono::steady_clock::now();
    proc::Future<int> late = pool_.submit({.deadline = kDeadline}, &work_for_ever, place_, 2U);
    std::string told = "no failure";
    try {
      late.get();
    } catch (const proc::DeadlineExceeded& failure) {
      told = failure.what();
    }
    const auto lasted = std::chrono::steady_clock::now() - start;
    stage_.prove("its failure", "task: it ran longer than its deadline", told);
    stage_.prove("it was let run as long", true, lasted >= kDeadline);
    stage_.prove("the pool has killed its worker", '-', stage_.look(props_.counts->busy));
    await_worker();
  }

  void show_end() {
    const auto workers = pool_.worker_pids();
    stage_.say("ends the pool");
    pool_.shutdown();
    for (const pid_t worker : workers) stage_.prove("a worker, then", '-', stage_.look(worker));
  }

  pid_t await_begin(std::size_t cue) {
    stage_.await(props_.begun.at(cue));
    stage_.say(props_.counts->busy.load(), " has begun a task that does not end");
    return props_.counts->busy;
  }

  // Until one more has come up. The pool replaces workers in its calls only.
  ProcStat await_worker() {
    const Cue& came = props_.came.at(met_);
    for (pool_.step(); wait_ready(came.fd(), POLLIN, Deadline::now()) == 0; pool_.step()) {
      std::array<pollfd, 2> either{{{came.fd(), POLLIN, 0}, {pool_.fd(), POLLIN, 0}}};
      if (retry_eintr([&] { return ::poll(either.data(), either.size(), -1); }) < 0) {
        throw_errno("poll");
      }
    }
    return stage_.meet(props_.counts->pids.at(met_++));
  }

  Stage& stage_;
  Props props_;
  Place place_{&props_};
  proc::Nursery nursery_;
  proc::Pool pool_;
  std::size_t met_ = 0;
};

void play(Stage& stage) {
  pid_t nursery = 0;
  {
    Director director{stage};
    nursery = director.nursery();
    director.show();
  }
  stage.prove("the nursery, at the end", '-', stage.look(nursery));
}

}  // namespace

const Scenario pool_scenario{
    .name = "pool",
    .summary = "workers that die, and a pool that goes on",
    .lesson =
        "A pool's workers are forked by a small process without threads, the nursery, which is "
        "their parent, reaps them and kills what they leave. A worker that dies takes one task "
        "with it, which fails with the reason, or is begun again if it is marked idempotent: that "
        "is, doing it twice does no harm. Others go on, a replacement comes, and a task that "
        "outlives its deadline loses its worker.",
    .play = play,
};

}  // namespace procpool::proc_demo
