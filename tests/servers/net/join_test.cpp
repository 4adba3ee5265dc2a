#include "servers/net/join.hpp"

#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "servers/net/wait.hpp"

namespace procpool::net {
namespace {

using namespace std::chrono_literals;

Task<> note_after(Loop& loop, std::chrono::milliseconds pause, std::string& notes, char note) {
  if (pause > 0ms) co_await sleep_until(loop, Deadline::in(pause));
  notes += note;
}

Task<> fail(Loop& loop, std::chrono::milliseconds pause) {
  if (pause > 0ms) co_await sleep_until(loop, Deadline::in(pause));
  throw std::runtime_error{"on purpose"};
}

struct Result {
  std::string notes;
  std::string problem;
};

Result run(const std::vector<int>& pauses, std::vector<int> failing = {}) {
  Loop loop;
  Result result;
  TaskGroup group{[&](const std::exception_ptr& problem) {
    try {
      std::rethrow_exception(problem);
    } catch (const std::exception& error) {
      result.problem = error.what();
    }
  }};
  const auto body = [&]() -> Task<> {
    std::vector<Task<>> tasks;
    char note = 'a';
    for (const int pause : pauses) {
      tasks.push_back(note_after(loop, std::chrono::milliseconds{pause}, result.notes, note++));
    }
    for (const int pause : failing) tasks.push_back(fail(loop, std::chrono::milliseconds{pause}));
    co_await join_all(std::move(tasks));
    result.notes += '.';
  };
  group.spawn(body());
  while (group.size() > 0) loop.run_once(Deadline::never());
  return result;
}

TEST(JoinAll, ends_with_the_last_of_its_tasks) {
  EXPECT_EQ(run({20, 1, 0}).notes, "cba.");
}

TEST(JoinAll, ends_at_once_when_no_task_waits_or_there_is_none) {
  EXPECT_EQ(run({0, 0}).notes, "ab.");
  EXPECT_EQ(run({}).notes, ".");
}

TEST(JoinAll, throws_what_left_a_task_when_all_have_ended) {
  const Result result = run({20}, {0, 1});
  EXPECT_EQ(result.notes, "a");
  EXPECT_EQ(result.problem, "on purpose");
}

TEST(JoinAll, destroys_what_still_runs_when_it_is_destroyed) {
  Loop loop;
  std::string notes;
  {
    TaskGroup group{[](const std::exception_ptr&) {}};
    std::vector<Task<>> tasks;
    tasks.push_back(note_after(loop, 1h, notes, 'a'));
    group.spawn(join_all(std::move(tasks)));
  }
  loop.run_once(Deadline::now());
  EXPECT_EQ(notes, "");
}

}  // namespace
}  // namespace procpool::net
