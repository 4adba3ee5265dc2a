#include "ipc/once.hpp"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/shared.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/single_step.hpp"

namespace procpool::ipc {
namespace {

using test::eventually;
using test::exited;
using test::Forked;
using test::Gate;
using test::killed_by;

struct State {
  Once once;
  std::atomic<int> runs = 0;
  std::atomic<int> told = 0;
};

TEST(Once, runs_one_of_many_and_lets_the_others_wait_for_its_end) {
  const Shared<State> state;
  std::vector<Forked> children;
  children.reserve(5);
  for (int i = 0; i < 5; ++i) {
    children.emplace_back([&] {
      state->once.call([&] {
        ::usleep(3000);
        ++state->runs;
      });
      return state->runs == 1 ? 0 : 1;
    });
  }
  for (Forked& child : children) EXPECT_EQ(child.wait(), exited(0));
  EXPECT_TRUE(state->once.is_done());
  state->once.call([&] { ++state->runs; });
  EXPECT_EQ(state->runs, 1);
}

TEST(Once, runs_the_next_when_one_throws) {
  Once once;
  int runs = 0;
  EXPECT_THROW(once.call([] { throw std::runtime_error{"first"}; }), std::runtime_error);
  EXPECT_FALSE(once.is_done());
  once.call([&] {
    ++runs;
    EXPECT_FALSE(once.took_over());
  });
  EXPECT_EQ(runs, 1);
}

TEST(Once, runs_the_next_when_one_dies_and_tells_it_so) {
  const Shared<State> state;
  Gate running;
  Forked runner{[&] {
    state->once.call([&] {
      running.open();
      for (;;) ::pause();
    });
  }};
  running.wait();
  std::vector<Forked> waiters;
  waiters.reserve(3);
  for (int i = 0; i < 3; ++i) {
    waiters.emplace_back([&] {
      state->once.call([&] {
        ++state->runs;
        state->told += state->once.took_over() ? 1 : 0;
      });
    });
  }
  for (const Forked& waiter : waiters) {
    ASSERT_TRUE(eventually([&] { return test::is_asleep(waiter.pid()); }));
  }
  runner.kill(SIGKILL);
  EXPECT_EQ(runner.wait(), killed_by(SIGKILL));
  for (Forked& waiter : waiters) EXPECT_EQ(waiter.wait(), exited(0));
  EXPECT_EQ(state->runs, 1);
  EXPECT_EQ(state->told, 1);
}

TEST(Once, tells_the_next_of_a_death_even_if_another_has_thrown_meanwhile) {
  const Shared<State> state;
  Forked dies{[&] { state->once.call([] { ::raise(SIGKILL); }); }};
  EXPECT_EQ(dies.wait(), killed_by(SIGKILL));
  EXPECT_THROW(state->once.call([] { throw std::runtime_error{"second"}; }), std::runtime_error);
  state->once.call([&] { EXPECT_TRUE(state->once.took_over()); });
  EXPECT_FALSE(state->once.took_over());
}

TEST(Once, refuses_to_be_called_by_its_own_function) {
  Once once;
  once.call([&] { EXPECT_THROW(once.call([] {}), Error); });
  EXPECT_TRUE(once.is_done());
}

}  // namespace
}  // namespace procpool::ipc
