#include "servers/net/task.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace procpool::net {
namespace {

// Suspends until the test goes on.
struct Door {
  std::coroutine_handle<> waiting;
  auto operator co_await() noexcept {
    struct Awaiter {
      Door& door;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> handle) const noexcept { door.waiting = handle; }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }
  void open() { std::exchange(waiting, nullptr).resume(); }
};

Task<int> number(int value) {
  co_return value;
}

Task<int> number_behind(Door& door, int value) {
  co_await door;
  co_return value;
}

Task<> fail(std::string text) {
  throw std::runtime_error{text};
  co_return;
}

void rethrow_never(std::exception_ptr error) {
  EXPECT_FALSE(error) << "a task ended by an exception";
}

TEST(Task, runs_only_when_it_is_awaited) {
  bool ran = false;
  const auto body = [&]() -> Task<> {
    ran = true;
    co_return;
  };
  {
    const Task<> never_awaited = body();
  }
  EXPECT_FALSE(ran);

  TaskGroup group{rethrow_never};
  group.spawn(body());
  EXPECT_TRUE(ran);
}

TEST(Task, gives_its_result_to_whoever_awaits_it) {
  int sum = 0;
  TaskGroup group{rethrow_never};
  const auto body = [&]() -> Task<> { sum = co_await number(40) + co_await number(2); };
  group.spawn(body());
  EXPECT_EQ(sum, 42);
}

TEST(Task, gives_a_result_that_can_only_be_moved) {
  std::unique_ptr<int> result;
  TaskGroup group{rethrow_never};
  const auto make = []() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(7); };
  const auto body = [&]() -> Task<> { result = co_await make(); };
  group.spawn(body());
  EXPECT_EQ(*result, 7);
}

TEST(Task, goes_on_where_it_waited) {
  Door door;
  std::vector<int> seen;
  TaskGroup group{rethrow_never};
  const auto body = [&]() -> Task<> {
    seen.push_back(co_await number_behind(door, 1));
    seen.push_back(co_await number_behind(door, 2));
  };
  group.spawn(body());
  EXPECT_TRUE(seen.empty());
  door.open();
  EXPECT_EQ(seen, (std::vector{1}));
  door.open();
  EXPECT_EQ(seen, (std::vector{1, 2}));
  EXPECT_EQ(group.size(), 0U);
}

TEST(Task, hands_its_exception_to_whoever_awaits_it) {
  std::string caught;
  TaskGroup group{rethrow_never};
  const auto body = [&]() -> Task<> {
    try {
      co_await fail("no luck");
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
  };
  group.spawn(body());
  EXPECT_EQ(caught, "no luck");
}

TEST(Task, awaits_a_million_children_that_finish_at_once_on_one_stack) {
  long sum = 0;
  TaskGroup group{rethrow_never};
  const auto body = [&]() -> Task<> {
    for (int i = 0; i < 1'000'000; ++i) sum += co_await number(1);
  };
  group.spawn(body());
  EXPECT_EQ(sum, 1'000'000);
}

TEST(Task, awaits_a_million_children_that_finish_at_once_behind_one_that_waited) {
  Door door;
  long sum = 0;
  TaskGroup group{rethrow_never};
  const auto body = [&]() -> Task<> {
    sum += co_await number_behind(door, 1);
    for (int i = 0; i < 1'000'000; ++i) sum += co_await number(1);
  };
  group.spawn(body());
  door.open();
  EXPECT_EQ(sum, 1'000'001);
}

TEST(Task, awaits_many_children_that_wait_on_one_stack) {
  Door door;
  int done = 0;
  TaskGroup group{rethrow_never};
  const auto body = [&]() -> Task<> {
    for (int i = 0; i < 100'000; ++i) done += co_await number_behind(door, 1);
  };
  group.spawn(body());
  while (group.size() > 0) door.open();
  EXPECT_EQ(done, 100'000);
}

TEST(TaskGroup, hears_of_the_exception_that_leaves_a_task) {
  std::string heard;
  TaskGroup group{[&](std::exception_ptr error) {
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& exception) {
      heard = exception.what();
    }
  }};
  group.spawn(fail("dropped"));
  EXPECT_EQ(heard, "dropped");
  EXPECT_EQ(group.size(), 0U);
}

struct Note {
  std::vector<std::string>& notes;
  std::string text;
  ~Note() { notes.push_back(text); }
};

struct Listening final : Companion {
  explicit Listening(std::vector<std::string>& all) : notes{all}, gone{all, "companion gone"} {}
  void failed(const std::exception_ptr& problem) override {
    try {
      std::rethrow_exception(problem);
    } catch (const std::exception& error) {
      notes.emplace_back(error.what());
    }
  }
  std::vector<std::string>& notes;
  Note gone;
};

TEST(TaskGroup, lets_a_companion_hear_of_the_exception_in_its_place) {
  std::vector<std::string> notes;
  TaskGroup group{rethrow_never};
  group.spawn(fail("dropped"), std::make_unique<Listening>(notes));
  EXPECT_EQ(notes, (std::vector<std::string>{"dropped", "companion gone"}));
}

TEST(TaskGroup, destroys_a_companion_after_its_task) {
  std::vector<std::string> notes;
  Door door;
  const auto task = [&]() -> Task<> {
    const Note note{notes, "task gone"};
    co_await door;
  };
  const std::vector<std::string> both{"task gone", "companion gone"};
  {
    TaskGroup group{rethrow_never};
    group.spawn(task(), std::make_unique<Listening>(notes));
    EXPECT_EQ(notes, std::vector<std::string>{});
    door.open();
    EXPECT_EQ(notes, both);
    notes.clear();
    group.spawn(task(), std::make_unique<Listening>(notes));
  }
  EXPECT_EQ(notes, both) << "also when it still waits";
}

TEST(TaskGroup, destroys_what_still_waits_innermost_first) {
  std::vector<std::string> notes;
  Door door;
  const auto inner = [&]() -> Task<> {
    const Note note{notes, "inner"};
    co_await door;
  };
  const auto outer = [&]() -> Task<> {
    const Note note{notes, "outer"};
    co_await inner();
  };
  {
    TaskGroup group{rethrow_never};
    group.spawn(outer());
    EXPECT_EQ(group.size(), 1U);
  }
  EXPECT_EQ(notes, (std::vector<std::string>{"inner", "outer"}));
}

}  // namespace
}  // namespace procpool::net
