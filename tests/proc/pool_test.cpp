#include "proc/pool.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;

int twice(int n) {
  return 2 * n;
}

TEST(Pool, calls_a_function_in_another_process) {
  Pool pool{2};
  EXPECT_EQ(pool.submit(&twice, 21).get(), 42);
  EXPECT_NE(pool.apply([] { return ::getpid(); }), ::getpid());
}

TEST(Pool, maps_in_order) {
  Pool pool{2};
  std::vector<int> numbers(10000);
  std::iota(numbers.begin(), numbers.end(), 0);
  std::vector<int> doubled = pool.map(&twice, numbers).get();
  for (int i = 0; i < 10000; ++i) ASSERT_EQ(doubled[static_cast<std::size_t>(i)], 2 * i);
  doubled = pool.map(&twice, numbers, {.chunk = 1}).get();
  for (int i = 0; i < 10000; ++i) ASSERT_EQ(doubled[static_cast<std::size_t>(i)], 2 * i);
}

TEST(Pool, fails_the_task_of_a_worker_that_dies_and_goes_on) {
  Pool pool{1};
  auto dying = pool.submit([] { std::abort(); });
  try {
    dying.get();
    FAIL();
  } catch (const WorkerDied& death) {
    EXPECT_EQ(death.status()->signal(), SIGABRT);
  }
  EXPECT_EQ(pool.apply(&twice, 1), 2);
}

}  // namespace
}  // namespace procpool::proc
