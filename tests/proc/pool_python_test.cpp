// What CPython tests of its pools, said again for ours: PYTHON_POOL.md has the names. Only what
// pool_test.cpp and pool_kill_test.cpp do not say anyway.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/shared.hpp"
#include "proc/cpu_count.hpp"
#include "proc/pool.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/sanitizers.hpp"

namespace procpool::proc {
namespace test_pool_python {

// Whose codec does something else than to encode and to decode, in the process that is told.
struct Trap {
  enum class Springs { never, at_encode, at_decode } springs = Springs::never;
  enum class Does { abort, exit, fail } does = Does::fail;
  pid_t not_in = 0;  // this process

  void spring() const {
    if (::getpid() == not_in) return;
    if (does == Does::abort) std::abort();
    if (does == Does::exit) ::exit(1);
    throw Error{"spring", "trap", "it was told to"};
  }
};

}  // namespace test_pool_python
}  // namespace procpool::proc

namespace procpool::ipc {

template <>
struct Codec<proc::test_pool_python::Trap> {
  using Trap = proc::test_pool_python::Trap;
  static void encode(const Trap& trap, std::vector<std::byte>& out) {
    if (trap.springs == Trap::Springs::at_encode) trap.spring();
    const auto bytes = std::as_bytes(std::span{&trap, 1});
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  static Trap decode(std::span<const std::byte> bytes) {
    Trap trap;
    std::ranges::copy(bytes, std::as_writable_bytes(std::span{&trap, 1}).begin());
    if (trap.springs == Trap::Springs::at_decode) trap.spring();
    return trap;
  }
};

}  // namespace procpool::ipc

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::kPatience;
using test_pool_python::Trap;
using Springs = Trap::Springs;
using Does = Trap::Does;

int square(int n) {
  return n * n;
}

struct Signals {
  std::atomic<int> begun;
  std::atomic<bool> go;
};
ipc::Shared<Signals>* signals = nullptr;

void wait_for_go() {
  ++(*signals)->begun;
  while (!(*signals)->go) std::this_thread::sleep_for(1ms);
}

class PoolLikePython : public testing::Test {
 protected:
  PoolLikePython() { signals = &signals_; }
  ~PoolLikePython() override { signals = nullptr; }

  ipc::Shared<Signals> signals_;
};

std::vector<int> numbers_up_to(int count) {
  std::vector<int> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

// ---- test_concurrent_futures: deadlock

TEST_F(PoolLikePython, a_worker_that_dies_while_it_decodes_arguments_fails_the_task) {
  Pool pool{2};
  for (const Does how : {Does::abort, Does::exit}) {
    auto task = pool.submit([](const Trap&) {}, Trap{.springs = Springs::at_decode, .does = how});
    EXPECT_THROW(task.get(), WorkerDied);
  }
  EXPECT_EQ(pool.apply(&square, 3), 9);
}

TEST_F(PoolLikePython, a_worker_that_dies_while_it_encodes_the_result_fails_the_task) {
  Pool pool{2};
  const auto return_trap = [](int how) {
    return Trap{.springs = Springs::at_encode, .does = static_cast<Does>(how)};
  };
  for (const Does how : {Does::abort, Does::exit}) {
    auto task = pool.submit(return_trap, static_cast<int>(how));
    EXPECT_THROW(task.get(), WorkerDied);
  }
  EXPECT_EQ(pool.apply(&square, 3), 9);
}

TEST_F(PoolLikePython, a_result_that_cannot_be_decoded_here_fails_the_task_and_not_the_pool) {
  Pool pool{1};
  auto task = pool.submit(
      [] { return Trap{.springs = Springs::at_decode, .does = Does::fail, .not_in = ::getpid()}; });
  EXPECT_THROW(task.get(), Error);
  EXPECT_EQ(pool.apply(&square, 3), 9);
}

TEST_F(PoolLikePython, a_pool_ends_while_a_worker_crashes) {
  for (int i = 0; i < 10; ++i) {
    Pool pool{2};
    auto crash = pool.submit([] { std::abort(); });
    pool.shutdown();
    EXPECT_THROW(crash.get(), WorkerDied);
  }
}

TEST_F(PoolLikePython, a_pool_ends_after_a_task_could_not_be_encoded) {
  Pool pool{2};
  EXPECT_THROW(pool.submit([](const Trap&) {}, Trap{.springs = Springs::at_encode}), Error);
  auto task = pool.submit(&square, 2);
  pool.shutdown();
  EXPECT_EQ(task.get(), 4);
}

TEST_F(PoolLikePython, a_worker_that_crashes_beside_one_with_much_data_costs_only_its_task) {
  Pool pool{2};
  const std::string data(100'000'000, 'a');
  auto large = pool.submit([](const std::string& s) { return s; }, data);
  auto crash = pool.submit([] { std::abort(); });
  EXPECT_THROW(crash.get(), WorkerDied);
  EXPECT_EQ(large.get().size(), data.size());
}

TEST_F(PoolLikePython, many_tasks_that_nobody_waits_for_do_not_block_the_one_who_submits) {
  Pool pool{1};
  std::vector<Future<int>> tasks;
  for (int i = 0; i < 50'000; ++i) tasks.push_back(pool.submit(&square, i % 100));
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const int n = static_cast<int>(i) % 100;
    ASSERT_EQ(tasks[i].get(), n * n);
  }
}

// ---- test_concurrent_futures: shutdown

TEST_F(PoolLikePython, all_tasks_are_done_when_the_pool_ends_in_good_order) {
  std::vector<Future<int>> tasks;
  {
    Pool pool{4};
    for (int i = 0; i < 50; ++i) tasks.push_back(pool.submit(&square, i));
    pool.shutdown();
  }
  for (int i = 0; i < 50; ++i) EXPECT_EQ(tasks[static_cast<std::size_t>(i)].get(), i * i);
}

TEST_F(PoolLikePython, what_waits_is_cancelled_and_what_runs_is_done) {
  Pool pool{1};
  std::vector<Future<void>> tasks;
  for (int i = 0; i < 10; ++i) tasks.push_back(pool.submit(&wait_for_go));
  ASSERT_TRUE(eventually([] { return (*signals)->begun == 1; }));
  for (auto& task : tasks) task.cancel();
  (*signals)->go = true;
  pool.shutdown();
  EXPECT_NO_THROW(tasks.front().get());
  for (std::size_t i = 1; i < tasks.size(); ++i) EXPECT_THROW(tasks[i].get(), Cancelled);
}

TEST_F(PoolLikePython, workers_are_gone_when_it_has_been_destroyed) {
  std::optional<Pool> pool{std::in_place, 5};
  EXPECT_EQ(pool->map(&square, numbers_up_to(20)).get().size(), 20U);
  const auto pids = pool->worker_pids();
  pool.reset();
  EXPECT_EQ(pids.size(), 5U);
  for (const pid_t pid : pids) EXPECT_EQ(::kill(pid, 0), -1);
}

TEST_F(PoolLikePython, results_that_are_read_lazily_are_there_until_the_pool_ends) {
  Pool pool{2};
  auto results = pool.map(&square, numbers_up_to(5));
  int sum = 0;
  for (const int result : results) sum += result;
  EXPECT_EQ(sum, 30);
}

TEST_F(PoolLikePython, that_retires_workers_ends_in_good_order_at_once) {
  PoolOptions options;
  options.workers = 3;
  options.most_tasks = 1;
  Pool pool{options};
  std::vector<Future<pid_t>> tasks;
  for (int i = 0; i < 6; ++i) tasks.push_back(pool.submit(&::getpid));
  pool.shutdown();
  std::set<pid_t> pids;
  for (auto& task : tasks) pids.insert(task.get());
  EXPECT_EQ(pids.size(), 6U);
}

// ---- test_concurrent_futures: wait, as_completed, futures

TEST_F(PoolLikePython, waiting_ends_when_the_first_task_fails) {
  Pool pool{2};
  std::vector<Future<void>> tasks;
  tasks.push_back(pool.submit(&wait_for_go));
  tasks.push_back(pool.submit([] {}));
  tasks.push_back(pool.submit([] { throw std::runtime_error{"x"}; }));
  EXPECT_EQ(wait(tasks, WaitFor::first_failure), (std::vector<std::size_t>{1, 2}));
  EXPECT_EQ(wait(tasks, WaitFor::first_failure), (std::vector<std::size_t>{1, 2}))
      << "which has already failed";
  (*signals)->go = true;
}

TEST_F(PoolLikePython, waiting_for_the_first_failure_of_none_is_waiting_for_all) {
  Pool pool{2};
  std::vector<Future<int>> tasks;
  for (int i = 0; i < 20; ++i) tasks.push_back(pool.submit(&square, i));
  EXPECT_EQ(wait(tasks, WaitFor::first_failure).size(), 20U);
}

TEST_F(PoolLikePython, waiting_for_what_is_done_already_returns_at_once) {
  Pool pool{1};
  std::vector<Future<int>> tasks;
  tasks.push_back(pool.submit(&square, 3));
  tasks.front().wait_until(Deadline::never());
  EXPECT_EQ(wait(tasks, WaitFor::any, Deadline::now()), (std::vector<std::size_t>{0}));
  tasks.clear();
  EXPECT_TRUE(wait(tasks).empty());
  EXPECT_TRUE(wait(tasks, WaitFor::any).empty());
}

TEST_F(PoolLikePython, cancelled_and_failed_tasks_come_from_as_completed_too) {
  Pool pool{1};
  std::vector<Future<void>> tasks;
  tasks.push_back(pool.submit(&wait_for_go));
  tasks.push_back(pool.submit([] {}));
  tasks.push_back(pool.submit([] { throw std::runtime_error{"x"}; }));
  ASSERT_TRUE(tasks[1].cancel());
  (*signals)->go = true;
  std::vector<std::ptrdiff_t> order;
  for (auto& task : as_completed(tasks)) order.push_back(&task - tasks.data());
  EXPECT_EQ(order, (std::vector<std::ptrdiff_t>{1, 0, 2}));
}

TEST_F(PoolLikePython, what_comes_then_learns_of_a_cancellation) {
  Pool pool{1};
  auto running = pool.submit(&wait_for_go);
  ASSERT_TRUE(eventually([] { return (*signals)->begun == 1; }));
  std::vector<Future<int>> tasks;
  tasks.push_back(pool.submit(&square, 1));
  auto& task = tasks.front();
  bool called = false;
  EXPECT_TRUE(task.cancel());
  auto after = std::move(task).then([&](int n) {
    called = true;
    return n;
  });
  EXPECT_THROW(after.get(), Cancelled);
  EXPECT_FALSE(called);
  (*signals)->go = true;
}

// ---- Pool of _test_multiprocessing

TEST_F(PoolLikePython, asynchronous_calls_give_their_results_in_any_order) {
  Pool pool{4};
  auto first = pool.submit(&square, 7);
  auto second = pool.submit(&square, 8);
  EXPECT_EQ(second.get(), 64);
  EXPECT_EQ(first.get(), 49);
}

TEST_F(PoolLikePython, all_of_a_map_is_done_though_its_first_call_fails) {
  Pool pool{2};
  const auto fail_first = [](int n) {
    if (n == 0) throw std::runtime_error{"first"};
    ++(*signals)->begun;
    return n;
  };
  EXPECT_THROW(pool.for_each(fail_first, numbers_up_to(10), {}, {.chunk = 1}), std::runtime_error);
  EXPECT_EQ((*signals)->begun, 9);
}

TEST_F(PoolLikePython, an_unordered_map_lets_through_what_its_range_throws) {
  Pool pool{2};
  const auto throwing = std::views::iota(0, 1000) | std::views::transform([](int n) {
                          if (n == 500) throw std::length_error{"no more"};
                          return n;
                        });
  int seen = 0;
  EXPECT_THROW(
      {
        for (auto& one : pool.map_unordered(&square, throwing, {.chunk = 1})) {
          seen += one.result.ok() ? 1 : 0;
        }
      },
      std::length_error);
  EXPECT_LE(seen, 500);
}

TEST_F(PoolLikePython, every_worker_is_replaced_in_its_time) {
  PoolOptions options;
  options.workers = 3;
  options.most_tasks = 10;
  Pool pool{options};
  std::set<pid_t> pids;
  for (int i = 0; i < 100; ++i) pids.insert(pool.apply(&::getpid));
  EXPECT_GE(pids.size(), 8U);
  EXPECT_TRUE(eventually([&] {
    pool.step();
    return pool.worker_pids().size() == 3;
  }));
}

TEST_F(PoolLikePython, terminating_does_not_wait_for_what_is_left) {
  Pool pool{3};
  std::vector<Future<void>> tasks;
  for (int i = 0; i < 1000; ++i) tasks.push_back(pool.submit(&wait_for_go));
  pool.terminate();
  for (auto& task : tasks) EXPECT_THROW(task.get(), Cancelled);
}

TEST_F(PoolLikePython, a_worker_that_is_to_do_no_task_at_all_is_refused) {
  PoolOptions no_tasks;
  no_tasks.most_tasks = 0;
  EXPECT_THROW(Pool{no_tasks}, Error);
  PoolOptions no_memory;
  no_memory.most_resident_bytes = 0;
  EXPECT_THROW(Pool{no_memory}, Error);
}

TEST_F(PoolLikePython, as_many_workers_as_there_are_processors_unless_it_is_told) {
  Pool pool;
  EXPECT_TRUE(eventually([&] {
    pool.step();
    return pool.worker_pids().size() == static_cast<std::size_t>(available_cpus());
  }));
}

TEST_F(PoolLikePython, what_is_done_comes_from_as_completed_before_it_has_no_time_left) {
  Pool pool{2};
  std::vector<Future<void>> tasks;
  tasks.push_back(pool.submit(&wait_for_go));
  tasks.push_back(pool.submit([] {}));
  ASSERT_TRUE(tasks[1].wait_until(Deadline::never()));
  std::vector<std::ptrdiff_t> seen;
  EXPECT_THROW(
      {
        for (auto& task : as_completed(tasks, Deadline::now())) {
          seen.push_back(&task - tasks.data());
        }
      },
      Error);
  EXPECT_EQ(seen, std::vector<std::ptrdiff_t>{1});
  (*signals)->go = true;
}

TEST_F(PoolLikePython, what_comes_then_learns_of_what_was_settled_before) {
  Pool pool{1};
  auto failed = pool.submit([]() -> int { throw std::out_of_range{"x"}; });
  ASSERT_TRUE(failed.wait_until(Deadline::never()));
  EXPECT_THROW(std::move(failed).then([](int n) { return n; }).get(), std::out_of_range);
  auto done = pool.submit(&square, 3);
  ASSERT_TRUE(done.wait_until(Deadline::never()));
  auto throws = std::move(done).then([](int) -> int { throw std::length_error{"y"}; });
  EXPECT_THROW(throws.get(), std::length_error);
}

TEST_F(PoolLikePython, a_map_is_begun_before_it_is_read) {
  Pool pool{2};
  auto results = pool.map(
      [](int n) {
        ++(*signals)->begun;
        return n;
      },
      numbers_up_to(10), {.chunk = 1});
  EXPECT_TRUE(eventually([] { return (*signals)->begun == 10; }));
  EXPECT_EQ(results.get(), numbers_up_to(10));
}

}  // namespace
}  // namespace procpool::proc
