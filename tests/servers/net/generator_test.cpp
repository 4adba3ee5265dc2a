// Values from a coroutine, one at a time.
#include "servers/net/generator.hpp"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/loop.hpp"
#include "servers/net/task.hpp"
#include "servers/net/wait.hpp"

namespace procpool::net {
namespace {

using namespace std::chrono_literals;

Generator<int> up_to(int end, int& begun) {
  for (int i = 0; i < end; ++i) {
    begun = i + 1;
    co_yield i;
  }
}

Generator<std::string> after_waiting(Loop& loop, std::shared_ptr<int> held) {
  for (int i = 0; i < 3; ++i) {
    co_await sleep_until(loop, Deadline::in(1ms));
    co_yield std::to_string(i + *held);
  }
}

Task<> collect(Generator<std::string>& generator, std::vector<std::string>& values, bool& ended) {
  while (auto value = co_await generator.next()) values.push_back(std::move(*value));
  ended = true;
}

TaskGroup make_group() {
  return TaskGroup{[](std::exception_ptr error) { std::rethrow_exception(error); }};
}

TEST(Generator, is_never_ahead_of_its_reader) {
  int begun = 0;
  std::vector<int> values;
  auto tasks = make_group();
  tasks.spawn([](int& seen, std::vector<int>& all) -> Task<> {
    Generator<int> generator = up_to(1000, seen);
    EXPECT_EQ(seen, 0);
    while (const auto value = co_await generator.next()) {
      all.push_back(*value);
      EXPECT_EQ(seen, *value + 1);
    }
    EXPECT_FALSE(co_await generator.next());  // and the end stays the end
  }(begun, values));
  EXPECT_EQ(values.size(), 1000u);
  EXPECT_EQ(tasks.size(), 0u);
}

TEST(Generator, may_wait_between_its_values) {
  Loop loop;
  std::vector<std::string> values;
  bool ended = false;
  Generator<std::string> generator = after_waiting(loop, std::make_shared<int>(7));
  auto tasks = make_group();
  tasks.spawn(collect(generator, values, ended));
  while (!ended) loop.run_once(Deadline::never());
  EXPECT_EQ(values, (std::vector<std::string>{"7", "8", "9"}));
}

TEST(Generator, ends_where_it_waits_when_it_is_destroyed) {
  Loop loop;
  const auto held = std::make_shared<int>(0);
  std::vector<std::string> values;
  bool ended = false;
  {
    Generator<std::string> generator = after_waiting(loop, held);
    auto tasks = make_group();
    tasks.spawn(collect(generator, values, ended));
    EXPECT_EQ(held.use_count(), 2);
  }
  EXPECT_EQ(held.use_count(), 1);
}

TEST(Generator, keeps_the_value_of_a_reader_who_has_given_up) {
  Loop loop;
  std::vector<std::string> values;
  bool ended = false;
  Generator<std::string> generator = after_waiting(loop, std::make_shared<int>(0));
  {
    auto tasks = make_group();
    tasks.spawn(collect(generator, values, ended));
  }
  loop.run_once(Deadline::never());  // the value comes, and nobody is there
  EXPECT_TRUE(values.empty());
  auto tasks = make_group();
  tasks.spawn(collect(generator, values, ended));
  while (!ended) loop.run_once(Deadline::never());
  EXPECT_EQ(values, (std::vector<std::string>{"0", "1", "2"}));
}

TEST(Generator, throws_at_its_reader_what_leaves_it) {
  bool caught = false;
  auto tasks = make_group();
  tasks.spawn([](bool& seen) -> Task<> {
    auto generator = []() -> Generator<int> {
      co_yield 1;
      throw std::runtime_error{"no more"};
    }();
    EXPECT_EQ(co_await generator.next(), 1);
    try {
      co_await generator.next();
    } catch (const std::runtime_error&) {
      seen = true;
    }
    EXPECT_FALSE(co_await generator.next());
  }(caught));
  EXPECT_TRUE(caught);
}

TEST(Generator, does_not_grow_the_stack_with_its_values) {
  constexpr int kMany = 1'000'000;
  int begun = 0;
  auto tasks = make_group();
  tasks.spawn([](int& seen) -> Task<> {
    Generator<int> generator = up_to(kMany, seen);
    while (co_await generator.next()) {
    }
  }(begun));
  EXPECT_EQ(begun, kMany);
}

}  // namespace
}  // namespace procpool::net
