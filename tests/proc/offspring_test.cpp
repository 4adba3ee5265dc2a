// Children that a process had before it executed this program: here they come from a bare fork.
#include "proc/offspring.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "ipc/pipe.hpp"
#include "proc/process.hpp"
#include "tests/proc/watched_supervisor.hpp"
#include "tests/support/children.hpp"
#include "tests/support/forked.hpp"

namespace procpool::proc {
namespace {

using test::Forked;

pid_t fork_child(int exit_code) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(exit_code);
  return pid;
}

pid_t fork_child_that_waits() {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::signal(SIGTERM, SIG_DFL);
    for (;;) ::pause();
  }
  return pid;
}

Offspring offspring_of(const std::vector<pid_t>& pids) {
  auto [reader, writer] = ipc::make_pipe();
  Offspring offspring{
      .generation = 7, .life_reader = reader.release(), .life_writer = writer.release()};
  for (std::size_t i = 0; i < pids.size(); ++i)
    offspring.children.push_back(
        {.name = "old", .pid = pids[i], .slot = static_cast<int>(i), .generation = 7});
  return offspring;
}

TEST(AdoptedProcess, is_waited_for_like_any_other_child) {
  auto ended = Process::adopt(fork_child(3), "old");
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->wait(), ExitStatus::exited(3));
  auto living = Process::adopt(fork_child_that_waits(), "old");
  ASSERT_TRUE(living);
  EXPECT_TRUE(living->is_running());
  living->signal(SIGKILL);
  EXPECT_EQ(living->wait().signal(), SIGKILL);
}

TEST(AdoptedProcess, must_be_a_child_that_is_not_reaped_yet) {
  EXPECT_FALSE(Process::adopt(1, "init"));
  const pid_t pid = fork_child(0);
  ::waitpid(pid, nullptr, 0);
  EXPECT_FALSE(Process::adopt(pid, "gone"));
}

TEST(Offspring, serves_until_the_first_generation_of_the_next_program_is_ready) {
  const std::vector<pid_t> old{fork_child_that_waits(), fork_child_that_waits()};
  Watched watched;
  watched.supervisor.adopt(offspring_of(old));
  EXPECT_EQ(watched.pids(), old);
  EXPECT_EQ(watched.running(), 2U);
  EXPECT_EQ(watched.start(workers(2)), 8);
  watched.step_until_told(Kind::generation_gone);
  EXPECT_EQ(watched.first(Kind::generation_gone).generation, 7);
  const std::vector<pid_t> now = watched.pids();
  EXPECT_EQ(now.size(), 2U);
  for (const pid_t pid : old) EXPECT_EQ(std::count(now.begin(), now.end(), pid), 0);
}

TEST(Offspring, keeps_its_slots_while_it_lasts) {
  Watched watched;
  watched.supervisor.adopt(offspring_of({fork_child_that_waits(), fork_child_that_waits()}));
  watched.supervisor.start_generation(workers(1), terminate);
  std::vector<int> slots;
  for (const ChildView& child : watched.supervisor.children()) slots.push_back(child.slot);
  std::ranges::sort(slots);
  EXPECT_EQ(slots, (std::vector<int>{0, 1, 2}));
  watched.step_until_told(Kind::generation_ready);
}

TEST(Offspring, that_dies_is_reaped_and_not_started_again) {
  const pid_t dying = fork_child_that_waits();
  const pid_t dead = fork_child(5);
  Watched watched;
  watched.supervisor.adopt(offspring_of({dying, dead}));
  watched.step_until_told(Kind::exited, 1);
  ::kill(dying, SIGKILL);
  watched.step_until_told(Kind::exited, 2);
  EXPECT_TRUE(watched.supervisor.children().empty());
  EXPECT_EQ(watched.count(Kind::started), 0);
}

TEST(Offspring, that_was_reaped_meanwhile_is_nobodys_any_more) {
  const pid_t gone = fork_child(0);
  ::waitpid(gone, nullptr, 0);
  Watched watched;
  watched.supervisor.adopt(offspring_of({gone}));
  EXPECT_TRUE(watched.supervisor.children().empty());
}

// The pipe outlives each program, so its end is the end of the process.
TEST(Offspring, sees_by_the_same_pipe_as_before_that_its_supervisors_process_is_dead) {
  test::become_subreaper();
  auto [reader, writer] = ipc::make_pipe();
  const UniqueFd seen = reader.release();
  UniqueFd told = writer.release();
  Forked process{[&] {
    ChildSpec spec = worker([&](ChildContext& context) {
      context.ready();
      wait_ready(context.life_fd(), POLLIN, Deadline::never());
      write_full(told.fd(), "seen", "pipe");
      return 0;
    });
    spec.options.keep_only = {{told.fd()}};
    Watched first;
    first.start({std::move(spec)});
    Offspring offspring = first.supervisor.offspring();
    EXPECT_EQ(offspring.children.size(), 1U);
    EXPECT_EQ(offspring.children.at(0).name, "worker");
    Watched second;
    second.supervisor.adopt(std::move(offspring));
    EXPECT_EQ(second.running(), 1U);
    ::_exit(0);
  }};
  EXPECT_EQ(process.wait(), test::exited(0));
  told.reset();
  std::array<char, 8> word{};
  EXPECT_EQ(retry_eintr([&] { return ::read(seen.fd(), word.data(), word.size()); }), 4);
  EXPECT_TRUE(test::await_no_children());
}

}  // namespace
}  // namespace procpool::proc
