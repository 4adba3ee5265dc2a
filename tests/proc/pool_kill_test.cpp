// Pools whose workers, nursery and master are killed: at random, and at every instruction.
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/shared.hpp"
#include "proc/pool.hpp"
#include "tests/support/children.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/single_step.hpp"

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::Forked;
using test::Gate;
using test::stride_unless_torture;
using test::Sweep;
using test::Tracee;

constexpr int kTasks = 1000;

// How often each task was begun and ended, as the workers saw it.
struct Tally {
  std::array<std::atomic<int>, kTasks> begun;
  std::array<std::atomic<int>, kTasks> ended;
};
ipc::Shared<Tally>* tally = nullptr;

int work(int n) {
  const auto index = static_cast<std::size_t>(n);
  ++(*tally)->begun[index];
  std::this_thread::sleep_for(std::chrono::microseconds{n % 300});
  ++(*tally)->ended[index];
  return n;
}

class PoolStorm : public testing::Test {
 protected:
  PoolStorm() { tally = &tally_; }
  ~PoolStorm() override { tally = nullptr; }

  int random_up_to(int most) { return std::uniform_int_distribution{0, most}(random_); }

  // Kills a worker, if there is one at this moment.
  void kill_one_of(const Pool& pool) {
    const auto pids = pool.worker_pids();
    if (pids.empty()) return;
    ::kill(pids[static_cast<std::size_t>(random_up_to(static_cast<int>(pids.size()) - 1))],
           SIGKILL);
  }

  ipc::Shared<Tally> tally_;
  std::mt19937 random_{4711};
};

PoolOptions four_workers() {
  PoolOptions options;
  options.workers = 4;
  return options;
}

struct Settled {
  int values = 0;
  int deaths = 0;
};

TEST_F(PoolStorm, of_killed_workers_settles_each_task_once_and_begins_none_twice) {
  Pool pool{four_workers()};
  std::vector<int> settled(kTasks);
  Settled count;
  std::vector<Future<int>> tasks;
  tasks.reserve(kTasks);
  for (int n = 0; n < kTasks; ++n) tasks.push_back(pool.submit(&work, n));
  for (auto& task : as_completed(tasks)) {
    const auto index = static_cast<std::size_t>(&task - tasks.data());
    ++settled[index];
    try {
      EXPECT_EQ(task.get(), static_cast<int>(index));
      EXPECT_EQ((*tally)->ended[index], 1);
      ++count.values;
    } catch (const WorkerDied& death) {
      EXPECT_EQ(death.status(), ExitStatus::signaled(SIGKILL));
      ++count.deaths;
    }
    EXPECT_LE((*tally)->begun[index], 1);
    if (random_up_to(9) == 0) kill_one_of(pool);
  }
  for (const int times : settled) EXPECT_EQ(times, 1);
  EXPECT_EQ(count.values + count.deaths, kTasks);
  EXPECT_GT(count.deaths, 0);
  EXPECT_EQ(pool.apply(&work, 7), 7);
}

TEST_F(PoolStorm, of_killed_workers_costs_a_map_only_the_calls_in_hand) {
  Pool pool{four_workers()};
  std::vector<int> numbers(kTasks);
  for (int n = 0; n < kTasks; ++n) numbers[static_cast<std::size_t>(n)] = n;
  std::vector<int> seen(kTasks);
  int kills = 0;
  Settled count;
  for (auto& [index, result] : pool.map_unordered(&work, numbers, {.chunk = 20})) {
    ++seen[index];
    if (result.ok()) {
      EXPECT_EQ(result.get(), static_cast<int>(index));
      ++count.values;
    } else {
      EXPECT_THROW(result.get(), WorkerDied);
      ++count.deaths;
    }
    EXPECT_LE((*tally)->begun[index], 1);
    if (random_up_to(19) == 0) {
      kill_one_of(pool);
      ++kills;
    }
  }
  for (const int times : seen) EXPECT_EQ(times, 1);
  EXPECT_LE(count.deaths, kills);
  EXPECT_GT(count.deaths, 0);
}

TEST_F(PoolStorm, of_killed_workers_and_nurseries_lets_every_idempotent_task_end_well) {
  {
    Nursery nursery;
    Pool pool{four_workers(), nursery};
    std::vector<Future<int>> tasks;
    tasks.reserve(kTasks);
    for (int n = 0; n < kTasks; ++n) {
      tasks.push_back(pool.submit({.idempotent = true}, &work, n));
    }
    int nurseries = 0;
    for (auto& task : as_completed(tasks)) {
      EXPECT_EQ(task.get(), &task - tasks.data());
      if (random_up_to(19) == 0) kill_one_of(pool);
      if (random_up_to(99) == 0) {
        ::kill(nursery.pid(), SIGKILL);
        ++nurseries;
      }
    }
    EXPECT_GT(nurseries, 0);
  }
  EXPECT_TRUE(test::await_no_children()) << "this process has adopted the nurseries' workers";
}

TEST_F(PoolStorm, in_which_the_master_is_killed_leaves_nothing) {
  for (int round = 0; round < (test::kSanitized ? 3 : 20); ++round) {
    Forked master{[&] {
      Pool pool{four_workers()};
      std::vector<int> numbers(kTasks);
      for (int n = 0; n < kTasks; ++n) numbers[static_cast<std::size_t>(n)] = n;
      for (;;) {
        for (auto& one : pool.map_unordered(&work, numbers, {.chunk = 3})) {
          if (one.index % 50 == 0) kill_one_of(pool);
        }
      }
    }};
    const auto before = (*tally)->begun[100].load();
    if (round % 2 == 0) {
      ASSERT_TRUE(eventually([&] { return (*tally)->begun[100] > before; }));
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds{random_up_to(3000)});
    }
    master.kill(SIGKILL);
    master.wait();
    ASSERT_TRUE(test::await_no_children()) << "round " << round;
  }
}

TEST_F(PoolStorm, of_deadlines_ends_only_the_tasks_that_are_overdue) {
  Pool pool{four_workers()};
  const auto hang_on_some = [](int n) {
    if (n % 20 == 7) {
      for (;;) ::pause();
    }
    return n;
  };
  std::vector<Future<int>> tasks;
  tasks.reserve(200);
  for (int n = 0; n < 200; ++n) {
    tasks.push_back(n % 20 == 7 ? pool.submit({.deadline = 5ms}, hang_on_some, n)
                                : pool.submit(hang_on_some, n));
  }
  for (int n = 0; n < 200; ++n) {
    auto& task = tasks[static_cast<std::size_t>(n)];
    if (n % 20 == 7) {
      EXPECT_THROW(task.get(), DeadlineExceeded);
    } else {
      EXPECT_EQ(task.get(), n);
    }
  }
}

// ---- Instruction by instruction

// Waits until the pool's only worker is there and sleeps; returns its pid.
pid_t await_idle_worker(Pool& pool) {
  pool.apply([] {});
  pid_t pid = 0;
  EXPECT_TRUE(eventually([&] {
    pool.step();
    const auto pids = pool.worker_pids();
    if (pids.empty() || !test::is_asleep(pids.front())) return false;
    pid = pids.front();
    return true;
  }));
  return pid;
}

TEST_F(PoolStorm, in_which_a_worker_is_killed_at_any_instruction_settles_each_call_once) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  constexpr std::size_t kCalls = 3;
  const auto whose = [](int n) {
    ++(*tally)->begun[static_cast<std::size_t>(n)];
    return ::getpid();
  };
  Pool pool{1};
  std::size_t kills = 0;
  std::size_t deaths = 0;
  std::array<std::size_t, kCalls + 1> done_by_victim{};
  for (Sweep sweep{stride_unless_torture(17)}; sweep.next();) {
    for (auto& begun : (*tally)->begun) begun = 0;
    const pid_t victim_pid = await_idle_worker(pool);
    Tracee victim = Tracee::seize(victim_pid);
    auto calls = pool.map_unordered(whose, std::vector<int>{0, 1, 2}, {.chunk = kCalls});
    sweep.advance(victim);
    victim.kill();
    ++kills;
    std::array<int, kCalls> seen{};
    std::size_t by_victim = 0;
    std::size_t failed = 0;
    for (auto& [index, result] : calls) {
      ++seen.at(index);
      const int begun = (*tally)->begun[index];
      if (result.ok()) {
        ASSERT_EQ(begun, 1);
        if (result.get() == victim_pid) ++by_victim;
      } else {
        ASSERT_THROW(result.get(), WorkerDied);
        ASSERT_LE(begun, 1);
        ++failed;
      }
    }
    ASSERT_EQ(seen, (std::array<int, kCalls>{1, 1, 1})) << "after " << sweep.instructions();
    ASSERT_LE(failed, 1U) << "it had one in hand at most";
    ++done_by_victim.at(by_victim);
    deaths += failed;
  }
  EXPECT_GT(kills, 20U);
  EXPECT_GT(deaths, 0U);
  for (const std::size_t times : done_by_victim) EXPECT_GT(times, 0U);
}

// Its submission, its wait and the delivery of the result: whatever it was killed in, its workers
// end.
TEST_F(PoolStorm, in_which_the_master_is_killed_at_any_instruction_leaves_nothing) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  constexpr std::size_t kInstructions = 4000;  // more than one submission and its result
  const std::string argument(1000, 'x');
  Sweep sweep{stride_unless_torture(97)};
  while (sweep.instructions() < kInstructions && sweep.next()) {
    Gate ready;
    const pid_t master = ::fork();
    ASSERT_GE(master, 0);
    if (master == 0) {
      Pool pool{2};
      const auto length = [](const std::string& text) { return text.size(); };
      pool.apply(length, argument);
      ready.open();
      for (;;) pool.apply(length, argument);
    }
    ready.wait();
    Tracee victim = Tracee::seize(master);
    sweep.advance(victim);
    victim.kill();
    ASSERT_TRUE(test::await_no_children()) << "after " << sweep.instructions();
  }
}

}  // namespace
}  // namespace procpool::proc
