// Cases of CPython's tests that no other test here has: PYTHON_PROCESS.md.
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/channel.hpp"
#include "ipc/pipe.hpp"
#include "ipc/wait_any.hpp"
#include "proc/process.hpp"
#include "proc/run.hpp"
#include "proc/signal_action.hpp"
#include "tests/proc/telling.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;
using test::Forked;
using test::TempDir;

int make_tree(int depth) {
  if (depth == 0) return 1;
  Process left = Process::fork([&] { return make_tree(depth - 1); });
  Process right = Process::fork([&] { return make_tree(depth - 1); });
  return left.wait().code().value_or(100) + right.wait().code().value_or(100);
}

TEST(Process, starts_children_that_start_children) {
  EXPECT_EQ(Process::fork([] { return make_tree(3); }).wait(), ExitStatus::exited(8));
}

TEST(Process, is_one_of_many) {
  constexpr int kCount = 40;
  std::vector<Process> quick;
  std::vector<Process> endless;
  for (int i = 0; i < kCount; ++i) {
    quick.push_back(Process::fork([=] { return i; }));
    endless.push_back(Process::fork(sleep_for_ever));
  }
  for (int i = 0; i < kCount; ++i)
    EXPECT_EQ(quick[static_cast<std::size_t>(i)].wait(), ExitStatus::exited(i));
  for (Process& child : endless) EXPECT_TRUE(child.signal(SIGTERM));
  for (Process& child : endless) EXPECT_EQ(child.wait(), ExitStatus::signaled(SIGTERM));
}

struct Upper {
  int add;
  int operator()() const { return 40 + add; }
};

TEST(Process, runs_an_object_with_a_state_of_its_own) {
  EXPECT_EQ(Process::fork(Upper{.add = 2}).wait(), ExitStatus::exited(42));
}

TEST(Process, keeps_nothing_of_its_body) {
  auto held = std::make_shared<int>(1);
  const Process child = Process::fork([held] { return *held; });
  EXPECT_EQ(held.use_count(), 1);
}

TEST(Process, runs_no_handler_that_its_parent_left_for_its_own_exit) {
  static int told = -1;
  auto pipe = ipc::make_pipe();
  Forked parent{[&] {
    told = pipe.writer.fd();
    std::atexit([] { [[maybe_unused]] const ssize_t n = ::write(told, "x", 1); });
    return Process::fork([] { return 3; }).wait().code().value_or(1);
  }};
  EXPECT_EQ(parent.wait(), test::exited(3));
  pipe.writer.close();
  EXPECT_EQ(read_to_end(pipe.reader.fd(), "pipe"), "");
}

TEST(Process, is_told_from_an_exit_that_looks_like_a_signal) {
  EXPECT_EQ(Process::fork([] { return 128 + SIGTERM; }).wait(), ExitStatus::exited(143));
  EXPECT_EQ(Process::fork([]() -> int { ::abort(); }, {.limits = {{RLIMIT_CORE, 0, 0}}}).wait(),
            ExitStatus::signaled(SIGABRT));
}

TEST(Process, is_waited_for_through_signals_that_are_handled) {
  static volatile sig_atomic_t seen = 0;
  const ScopedSignalAction counted{SIGUSR1, [](int) { seen = seen + 1; }, 0};  // no SA_RESTART
  seen = 0;
  Process child = Process::fork([] {
    for (int i = 0; i < 200; ++i) {
      ::kill(::getppid(), SIGUSR1);
      ::sched_yield();
    }
    return 7;
  });
  EXPECT_EQ(child.wait_for(1h), ExitStatus::exited(7));
  EXPECT_GT(seen, 0);
}

TEST(Process, does_not_wait_for_a_time_that_is_below_nothing) {
  Process child = Process::fork(sleep_for_ever);
  EXPECT_EQ(child.wait_for(-1h), std::nullopt);
}

TEST(Process, is_waited_for_among_other_things) {
  Process child = Process::fork([] { return 0; });
  Process other = Process::fork(sleep_for_ever);
  auto [left, right] = ipc::make_channel();
  EXPECT_EQ(ipc::wait_any(Deadline::never(), right, other, child), std::vector<std::size_t>{2});
  const std::vector<std::byte> message(3);
  left.send(message);
  EXPECT_EQ(ipc::wait_any(Deadline::never(), right, other, child),
            (std::vector<std::size_t>{0, 2}));
  EXPECT_TRUE(ipc::wait_any(Deadline::in(5ms), other).empty());
}

TEST(Process, runs_a_program_whose_path_is_relative_to_its_own_directory) {
  const TempDir dir;
  const std::string path = dir.path() / "here";
  std::ofstream{path} << "#!/bin/sh\npwd\n";
  ::chmod(path.c_str(), 0755);
  EXPECT_EQ(run({"./here"}, {.working_directory = dir.path()}).out, dir.path().string() + "\n");
  EXPECT_NE(error_of([] { run({"./here"}); }), "no error");
}

TEST(Process, has_the_environment_that_it_is_given_and_nothing_else) {
  EXPECT_EQ(run({"env"}, {.environment = std::vector<std::string>{}}).out, "");
  EXPECT_EQ(run({"env"}, {.environment = {{"A=", "B=x=y"}}}).out, "A=\nB=x=y\n");
}

TEST(Process, passes_arguments_as_they_are) {
  EXPECT_EQ(run({"printf", "%s|", "a b", "", "*", "$HOME", "\n"}).out, "a b||*|$HOME|\n|");
}

TEST(Process, swaps_two_descriptors_by_a_third) {
  const std::vector<Redirection> swapped{
      Redirection::pipe_from(STDOUT_FILENO), Redirection::pipe_from(STDERR_FILENO),
      Redirection::fd(3, STDOUT_FILENO), Redirection::fd(STDOUT_FILENO, STDERR_FILENO),
      Redirection::fd(STDERR_FILENO, 3)};
  Process shell = Process::spawn({"sh", "-c", "echo out; echo err >&2"}, {.redirections = swapped});
  EXPECT_EQ(read_to_end(shell.pipe(STDOUT_FILENO).fd(), "sh"), "err\n");
  EXPECT_EQ(read_to_end(shell.pipe(STDERR_FILENO).fd(), "sh"), "out\n");
}

TEST(Process, has_one_descriptor_for_all_three) {
  const TempDir dir;
  const std::string path = dir.path() / "file";
  std::ofstream{path} << "in\n";
  const UniqueFd file{::open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC)};
  Process shell =
      Process::spawn({"sh", "-c", "read line; echo out-$line; echo err-$line >&2"},
                     {.redirections = {Redirection::fd(0, file.fd()), Redirection::fd(1, file.fd()),
                                       Redirection::fd(2, file.fd())}});
  EXPECT_EQ(shell.wait(), ExitStatus::exited(0));
  EXPECT_EQ(read_file(path), "in\nout-in\nerr-in\n");
}

TEST(Process, starts_whichever_of_the_standard_descriptors_are_closed) {
  for (int closed = 1; closed < 8; ++closed) {
    Forked bare{[&] {
      for (int fd = 0; fd < 3; ++fd) {
        if ((closed & 1 << fd) != 0) ::close(fd);
      }
      const RunResult result = run({"sh", "-c", "cat; echo err >&2"}, {}, {.input = "in"});
      const bool said = result.out == "in" && result.err == "err\n";
      // What is closed and not redirected stays closed.
      const auto plain = Process::spawn({"true"}).wait();
      const auto forked = Process::fork([] { return 5; }, {.keep_only = {{}}}).wait();
      return said && plain.success() && forked == ExitStatus::exited(5) ? 0 : 1;
    }};
    EXPECT_EQ(bare.wait(), test::exited(0)) << closed;
  }
}

TEST(Process, leaks_nothing_however_often_it_fails) {
  for (int i = 0; i < 200; ++i) {
    EXPECT_THROW(Process::spawn({"no-such-program"}, {.redirections = {Redirection::pipe_to(0),
                                                                       Redirection::pipe_from(1),
                                                                       Redirection::null(2)}}),
                 Error);
  }
  const auto free = ipc::make_pipe();
  EXPECT_LT(free.writer.fd(), 200);
}

// Such a child may hold the pipe open by whose end the parent knows that the program runs.
TEST(Process, starts_programs_with_credentials_while_other_threads_fork) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root";
  const Credentials nobody = Credentials::of("nobody");
  std::atomic<bool> done{false};
  std::thread other{[&] {
    while (!done) const Process child = Process::fork(sleep_for_ever);
  }};
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(Process::spawn({"true"}, {.credentials = nobody}).wait(), ExitStatus::exited(0));
    EXPECT_THROW(Process::spawn({"no-such-program"}, {.credentials = nobody}), Error);
  }
  done = true;
  other.join();
}

TEST(Process, is_not_slowed_down_by_at_fork_handlers_when_it_is_spawned) {
  Forked parent{[] {
    static int forks = 0;
    ::pthread_atfork([] { ++forks; }, nullptr, nullptr);
    Process::spawn({"true"}).wait();
    if (forks != 0) return 1;
    Process::fork([] { return 0; }).wait();
    return forks == 1 ? 0 : 2;
  }};
  EXPECT_EQ(parent.wait(), test::exited(0));
}

}  // namespace
}  // namespace procpool::proc
