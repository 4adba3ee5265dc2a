#include "proc/process.hpp"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/process_id.hpp"
#include "ipc/pipe.hpp"
#include "proc/signal_action.hpp"
#include "proc/signal_mask.hpp"
#include "tests/proc/telling.hpp"
#include "tests/support/children.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::Gate;
using test::TempDir;

// The descriptors that are open in this process, but for the one that lists them.
std::vector<int> open_descriptors() {
  std::vector<int> fds;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) {
    fds.push_back(std::stoi(entry.path().filename()));
  }
  std::erase_if(fds, [](int fd) { return ::fcntl(fd, F_GETFD) < 0; });
  std::sort(fds.begin(), fds.end());
  return fds;
}

// A variable of the environment; empty if there is none.
std::string value_of(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr ? value : "";
}

// Waiting.

TEST(Process, publishes_the_status_of_a_function_once_and_says_the_same_afterwards) {
  Process child = Process::fork([] { return 42; });
  EXPECT_EQ(child.wait(), ExitStatus::exited(42));
  EXPECT_EQ(child.wait(), ExitStatus::exited(42));
  EXPECT_EQ(child.try_wait(), ExitStatus::exited(42));
  EXPECT_EQ(child.peek(), ExitStatus::exited(42));
  EXPECT_FALSE(child.is_running());
  EXPECT_FALSE(child.signal(SIGTERM));
  ASSERT_TRUE(child.usage());
  EXPECT_GT(child.usage()->ru_maxrss, 0);
}

TEST(Process, tells_a_killed_child_from_one_that_exited) {
  Process child = Process::fork(sleep_for_ever);
  EXPECT_TRUE(child.signal(SIGKILL));
  EXPECT_EQ(child.wait(), ExitStatus::signaled(SIGKILL));
}

TEST(Process, waits_no_longer_than_it_is_told) {
  Process child = Process::fork(sleep_for_ever);
  EXPECT_EQ(child.try_wait(), std::nullopt);
  EXPECT_EQ(child.wait_for(5ms), std::nullopt);
  EXPECT_TRUE(child.is_running());
  EXPECT_FALSE(child.ready());
  EXPECT_FALSE(child.usage());
}

TEST(Process, is_ready_when_it_has_ended_and_peeking_does_not_reap) {
  Process child = Process::fork([] { return 3; });
  ASSERT_NE(wait_ready(child.fd(), POLLIN, Deadline::never()), 0);
  EXPECT_TRUE(child.ready());
  EXPECT_EQ(child.peek(), ExitStatus::exited(3));
  EXPECT_EQ(state_of(child.pid()), 'Z');
  EXPECT_TRUE(child.signal(SIGTERM)) << "a zombie takes any signal";
  EXPECT_EQ(child.wait(), ExitStatus::exited(3));
}

TEST(Process, does_not_take_a_stopped_child_for_an_ended_one) {
  Process child = Process::fork(sleep_for_ever);
  child.signal(SIGSTOP);
  ASSERT_TRUE(eventually([&] { return state_of(child.pid()) == 'T'; }));
  EXPECT_EQ(child.try_wait(), std::nullopt);
  EXPECT_TRUE(child.is_running());
}

TEST(Process, does_not_wait_for_a_grandchild_that_holds_the_pipe) {
  Process shell = Process::spawn({"/bin/sh", "-c", "sleep 1000 & echo $!"},
                                 {.redirections = {Redirection::pipe_from(STDOUT_FILENO)}});
  EXPECT_EQ(shell.wait(), ExitStatus::exited(0));
  test::kill_and_reap_all();
}

TEST(Process, reports_that_somebody_else_has_reaped_its_child) {
  Process child = Process::fork([] { return 0; });
  ASSERT_EQ(::waitpid(child.pid(), nullptr, 0), child.pid());
  EXPECT_NE(error_of([&] { child.wait(); }).find("somebody else"), std::string::npos);
}

TEST(Process, refuses_to_start_where_sigchld_is_ignored) {
  const ScopedSignalAction ignored{SIGCHLD, SIG_IGN};
  EXPECT_NE(error_of([] { Process::fork([] { return 0; }); }).find("SIGCHLD"), std::string::npos);
  EXPECT_NE(error_of([] { Process::spawn({"true"}); }).find("SIGCHLD"), std::string::npos);
}

TEST(Process, belongs_to_the_process_that_made_it) {
  Process child = Process::fork(sleep_for_ever);
  {
    test::Forked other{[&] {
      const Process copy = std::move(child);
      Process& same = const_cast<Process&>(copy);
      const bool refused = error_of([&] { same.wait(); }) != "no error" &&
                           error_of([&] { same.signal(SIGKILL); }) != "no error";
      return refused ? 0 : 1;
    }};
    EXPECT_EQ(other.wait(), test::exited(0));
  }
  EXPECT_TRUE(child.is_running());
}

TEST(Process, moves_with_its_child) {
  Process first = Process::fork(sleep_for_ever);
  Process second = Process::fork([] { return 5; });
  first = std::move(second);  // kills and reaps the first child
  EXPECT_EQ(first.wait(), ExitStatus::exited(5));
  // NOLINTNEXTLINE(bugprone-use-after-move,clang-analyzer-cplusplus.Move)
  EXPECT_THROW(second.wait(), Error);
}

// Stopping.

TEST(Process, escalates_until_the_child_has_ended) {
  Gate deaf;
  Process child = Process::fork([&] {
    const ScopedSignalMask mask{{SIGTERM}};
    deaf.open();
    return sleep_for_ever();
  });
  deaf.wait();
  EXPECT_EQ(child.stop({{SIGTERM, 10ms}, {SIGTERM, 0ms}, {SIGKILL, kForever}}),
            ExitStatus::signaled(SIGKILL));
}

TEST(Process, stops_with_the_first_signal_that_is_heeded) {
  Process child = Process::fork(sleep_for_ever);
  EXPECT_EQ(child.stop({{SIGTERM, kForever}, {SIGKILL, kForever}}), ExitStatus::signaled(SIGTERM));
}

TEST(Process, stops_a_stopped_child_without_having_to_kill_it) {
  Process child = Process::fork(sleep_for_ever);
  child.signal(SIGSTOP);
  ASSERT_TRUE(eventually([&] { return state_of(child.pid()) == 'T'; }));
  EXPECT_EQ(child.stop({{SIGTERM, kForever}}), ExitStatus::signaled(SIGTERM));
}

TEST(Process, stopping_one_that_has_ended_gives_its_own_status) {
  Process child = Process::fork([] { return 7; });
  wait_ready(child.fd(), POLLIN, Deadline::never());
  EXPECT_EQ(child.stop({{SIGKILL, kForever}}), ExitStatus::exited(7));
}

TEST(Process, kills_and_reaps_its_child_when_it_is_destroyed) {
  {
    const Process child = Process::fork(sleep_for_ever);
  }
  EXPECT_FALSE(test::has_children());
}

TEST(Process, waits_for_its_child_when_it_is_told_to) {
  const TempDir dir;
  const auto file = dir.path() / "done";
  {
    Gate go;
    const Process child = Process::fork(
        [&] {
          go.wait();
          std::ofstream{file} << "x";
          return 0;
        },
        {.on_destroy = OnDestroy::wait});
    go.open();
  }
  EXPECT_TRUE(std::filesystem::exists(file));
}

// The body.

TEST(Process, prints_an_exception_of_the_body_and_exits_with_70) {
  Process child =
      Process::fork([]() -> int { throw Error{"open", "x", ENOENT}; },
                    {.name = "reader", .redirections = {Redirection::pipe_from(STDERR_FILENO)}});
  EXPECT_EQ(read_to_end(child.pipe(STDERR_FILENO).fd(), "stderr"),
            "reader: uncaught exception: open \"x\": No such file or directory\n");
  EXPECT_EQ(child.wait(), ExitStatus::exited(70));
}

TEST(Process, does_not_flush_what_the_parent_had_buffered) {
  const TempDir dir;
  const std::string path = dir.path() / "log";
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> log{std::fopen(path.c_str(), "we"),
                                                            &std::fclose};
  ASSERT_NE(log, nullptr);
  std::fputs("once\n", log.get());
  Process::fork([] { return 0; }).wait();
  std::fflush(log.get());
  EXPECT_EQ(read_file(path), "once\n");
}

TEST(Process, starts_with_default_dispositions_and_an_empty_mask) {
  const ScopedSignalAction pipe{SIGPIPE, SIG_IGN};
  const ScopedSignalAction handled{SIGUSR1, [](int) {}};
  const ScopedSignalMask blocked{{SIGTERM, SIGUSR2}};
  constexpr const char* kNone = "0000000000000000";
  EXPECT_EQ(told_by_child([] { return status_field("SigIgn"); }), kNone);
  EXPECT_EQ(told_by_child([] { return status_field("SigBlk"); }), kNone);
  // But for 32 and 33, which the C library catches itself once there were threads: nptl(7).
  constexpr std::uint64_t kOfTheLibrary = 0b11ULL << 31;
  const std::string caught = told_by_child([] { return status_field("SigCgt"); });
  EXPECT_EQ(std::stoull(caught, nullptr, 16) & ~kOfTheLibrary, 0U) << caught;
  const std::string spawned = output_of("cat /proc/self/status");
  EXPECT_NE(spawned.find(std::string{"SigIgn:\t"} + kNone), std::string::npos) << spawned;
  EXPECT_NE(spawned.find(std::string{"SigBlk:\t"} + kNone), std::string::npos) << spawned;
  EXPECT_TRUE(SignalSet::blocked().contains(SIGTERM)) << "the parent's mask is its own again";
}

TEST(Process, keeps_signals_waiting_that_its_child_wants_to_take_later) {
  Process child = Process::fork(
      [] {
        int number = 0;
        const SignalSet awaited{SIGUSR1};
        ::sigwait(&awaited.native(), &number);
        return number;
      },
      {.blocked_signals = {SIGUSR1}});
  child.signal(SIGUSR1);
  EXPECT_EQ(child.wait(), ExitStatus::exited(SIGUSR1));
}

// Programs.

TEST(Process, finds_a_program_in_the_path_and_runs_it) {
  EXPECT_EQ(Process::spawn({"true"}).wait(), ExitStatus::exited(0));
  EXPECT_EQ(Process::spawn({"/bin/sh", "-c", "exit 9"}).wait(), ExitStatus::exited(9));
  EXPECT_EQ(Process::spawn({"sh", "-c", "kill -TERM $$"}).wait(), ExitStatus::signaled(SIGTERM));
}

TEST(Process, says_which_step_failed_before_the_program_ran) {
  EXPECT_EQ(error_of([] { Process::spawn({"no-such-program"}); }),
            "exec \"no-such-program\": No such file or directory");
  EXPECT_EQ(error_of([] { Process::spawn({"/etc/passwd"}); }),
            "exec \"/etc/passwd\": Permission denied");
  EXPECT_EQ(error_of([] { Process::spawn({"true"}, {.working_directory = "/no/such"}); }),
            "chdir \"/no/such\": No such file or directory");
  EXPECT_EQ(error_of([] { Process::spawn({"true"}, {.redirections = {Redirection::fd(1, 999)}}); }),
            "dup2 \"true\": Bad file descriptor");
  EXPECT_EQ(error_of([] {
              Process::spawn({"true"}, {.redirections = {Redirection::file(1, "/no/such/file")}});
            }),
            "open \"/no/such/file\": No such file or directory");
  EXPECT_EQ(error_of([] {
              Process::fork([] { return 0; }, {.name = "worker", .working_directory = "/no/such"});
            }),
            "chdir \"/no/such\": No such file or directory");
  EXPECT_EQ(error_of([] {
              Process::fork([] { return 0; },
                            {.name = "worker", .limits = {{RLIMIT_NOFILE, 100, 50}}});
            }),
            "setrlimit \"worker\": Invalid argument");
  EXPECT_THROW(Process::spawn({}), Error);
}

TEST(Process, passes_an_environment_to_programs_and_functions) {
  EXPECT_EQ(output_of("echo $GREETING-$HOME", {.environment = {{"GREETING=hello"}}}), "hello-\n");
  EXPECT_EQ(
      told_by_child([] { return value_of("GREETING"); }, {.environment = {{"GREETING=hello"}}}),
      "hello");
}

TEST(Process, starts_programs_from_many_threads_at_once) {
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([] {
      for (int n = 0; n < 20; ++n) {
        EXPECT_EQ(Process::spawn({"true"}).wait(), ExitStatus::exited(0));
        EXPECT_EQ(Process::fork([] { return 1; }).wait(), ExitStatus::exited(1));
        EXPECT_THROW(Process::spawn({"no-such-program"}), Error);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

// Descriptors.

TEST(Process, connects_the_childs_descriptors_in_order_as_a_shell_does) {
  const TempDir dir;
  const std::string path = dir.path() / "both";
  Process shell = Process::spawn(
      {"sh", "-c", "cat; echo err >&2"},
      {.redirections = {Redirection::pipe_to(STDIN_FILENO), Redirection::file(STDOUT_FILENO, path),
                        Redirection::fd(STDERR_FILENO, STDOUT_FILENO)}});
  write_full(shell.pipe(STDIN_FILENO).fd(), "in\n", "sh");
  shell.pipe(STDIN_FILENO).reset();
  EXPECT_EQ(shell.wait(), ExitStatus::exited(0));
  EXPECT_EQ(read_file(path), "in\nerr\n");
  EXPECT_THROW(shell.pipe(7), Error);
}

TEST(Process, redirects_to_high_targets_without_closing_its_own_pipes) {
  for (int target = 3; target < 40; ++target) {
    Process shell = Process::spawn({"sh", "-c", "echo x > /proc/self/fd/" + std::to_string(target)},
                                   {.redirections = {Redirection::pipe_from(target)}});
    EXPECT_EQ(read_to_end(shell.pipe(target).fd(), "sh"), "x\n");
    EXPECT_EQ(shell.wait(), ExitStatus::exited(0));
    EXPECT_THROW(Process::spawn({"no-such-program"}, {.redirections = {Redirection::null(target)}}),
                 Error);
  }
}

TEST(Process, works_with_the_standard_descriptors_closed) {
  test::Forked bare{[] {
    for (int fd = 0; fd < 3; ++fd) ::close(fd);
    Process shell = Process::spawn(
        {"sh", "-c", "cat"},
        {.redirections = {Redirection::pipe_to(STDIN_FILENO), Redirection::pipe_from(STDOUT_FILENO),
                          Redirection::null(STDERR_FILENO)}});
    write_full(shell.pipe(STDIN_FILENO).fd(), "through", "sh");
    shell.pipe(STDIN_FILENO).reset();
    const bool same = read_to_end(shell.pipe(STDOUT_FILENO).fd(), "sh") == "through";
    return same && shell.wait().success() ? 0 : 1;
  }};
  EXPECT_EQ(bare.wait(), test::exited(0));
}

constexpr const char* kListDescriptors = "ls -v /proc/$$/fd; exit";  // of the shell, not of ls

TEST(Process, gives_a_program_no_descriptor_that_is_close_on_exec) {
  const std::string before = output_of(kListDescriptors);
  const auto secret = ipc::make_pipe();
  EXPECT_EQ(output_of(kListDescriptors), before);
}

TEST(Process, passes_what_a_program_is_to_keep_under_its_own_number) {
  const UniqueFd inherited{::open("/dev/null", O_RDONLY)};  // closed, though not close-on-exec
  const UniqueFd kept{::fcntl(inherited.fd(), F_DUPFD_CLOEXEC, 50)};
  EXPECT_EQ(output_of(kListDescriptors, {.keep_only = {{kept.fd()}}}),
            "0\n1\n2\n" + std::to_string(kept.fd()) + "\n");
  EXPECT_EQ(output_of(kListDescriptors, {.keep_only = {{}}}), "0\n1\n2\n");
  EXPECT_NE(::fcntl(kept.fd(), F_GETFD) & FD_CLOEXEC, 0) << "the parent's own is unchanged";
}

TEST(Process, closes_in_a_forked_child_all_that_it_is_not_to_keep) {
  const UniqueFd lock{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  UniqueFd kept{::fcntl(lock.fd(), F_DUPFD_CLOEXEC, 100)};
  Process child = Process::fork(
      [&] {
        const bool as_said = open_descriptors() == std::vector{0, 1, 2, kept.fd()};
        const bool close_on_exec = (::fcntl(kept.fd(), F_GETFD) & FD_CLOEXEC) != 0;
        return as_said && close_on_exec ? 0 : 1;
      },
      {.keep_only = {{kept.fd()}}});
  EXPECT_EQ(child.wait(), ExitStatus::exited(0));
}

TEST(Process, leaves_no_end_of_its_own_pipes_in_a_forked_child) {
  const std::vector<int> before = open_descriptors();
  Process child = Process::fork(
      [&] { return open_descriptors() == before ? 0 : 1; },
      {.redirections = {Redirection::pipe_to(STDIN_FILENO), Redirection::null(STDERR_FILENO)}});
  EXPECT_EQ(child.wait(), ExitStatus::exited(0));
}

// Attributes.

TEST(Process, takes_a_name_a_mask_a_directory_and_limits) {
  EXPECT_EQ(told_by_child([] { return status_field("Name"); }, {.name = "indexer"}), "indexer");
  EXPECT_EQ(told_by_child([] { return status_field("Umask"); }, {.umask = 0027}), "0027");
  EXPECT_EQ(
      output_of("pwd; ulimit -n", {.limits = {{RLIMIT_NOFILE, 77, 77}}, .working_directory = "/"}),
      "/\n77\n");
}

TEST(Process, adds_to_the_nice_value) {
  const int ours = ::getpriority(PRIO_PROCESS, 0);
  Process child = Process::fork([&] { return ::getpriority(PRIO_PROCESS, 0) - ours; }, {.nice = 5});
  EXPECT_EQ(child.wait(), ExitStatus::exited(5));
}

TEST(Process, leads_a_group_or_a_session_of_its_own) {
  const auto leads_group = [] { return ::getpgrp() == ::getpid() ? 1 : 0; };
  const auto leads_session = [] { return ::getsid(0) == ::getpid() ? 1 : 0; };
  EXPECT_EQ(Process::fork(leads_group).wait(), ExitStatus::exited(0));
  EXPECT_EQ(Process::fork(leads_group, {.process_group = ProcessGroup::own}).wait(),
            ExitStatus::exited(1));
  EXPECT_EQ(Process::fork(leads_session, {.process_group = ProcessGroup::own}).wait(),
            ExitStatus::exited(0));
  EXPECT_EQ(Process::fork(leads_session, {.process_group = ProcessGroup::session}).wait(),
            ExitStatus::exited(1));
}

// The end of the parent.

TEST(Process, dies_with_its_parent_also_after_a_change_of_credentials) {
  for (const bool as_nobody : {false, true}) {
    if (as_nobody && ::getuid() != 0) continue;
    auto alive = ipc::make_pipe();
    test::Forked parent{[&] {
      ChildOptions options{.die_with_parent = true};
      if (as_nobody) options.credentials = Credentials::of("nobody");
      const Process child = Process::fork(sleep_for_ever, options);
      write_full(alive.writer.fd(), "x", "pipe");
      return sleep_for_ever();
    }};
    alive.writer.close();
    std::array<std::byte, 1> started;
    ASSERT_EQ(read_full(alive.reader.fd(), started, "pipe"), 1U);
    parent.kill(SIGKILL);
    parent.wait();
    EXPECT_EQ(read_to_end(alive.reader.fd(), "pipe"), "") << "the end comes when both are dead";
    EXPECT_TRUE(test::await_no_children());
  }
}

TEST(Process, outlives_its_parent_unless_it_is_told_to_die_with_it) {
  auto alive = ipc::make_pipe();
  Gate end;
  test::Forked parent{[&] {
    const Process child = Process::fork([&] {
      end.wait();
      return 0;
    });
    write_full(alive.writer.fd(), "x", "pipe");
    return sleep_for_ever();
  }};
  std::array<std::byte, 1> started;
  ASSERT_EQ(read_full(alive.reader.fd(), started, "pipe"), 1U);
  parent.kill(SIGKILL);
  parent.wait();
  EXPECT_TRUE(test::has_children()) << "adopted by this process";
  end.open();
  EXPECT_TRUE(test::await_no_children());
}

// Credentials.

TEST(Credentials, are_looked_up_by_name_and_number) {
  const Credentials root = Credentials::of("root");
  EXPECT_EQ(root.uid, 0U);
  EXPECT_EQ(root.gid, 0U);
  EXPECT_EQ(Credentials::of("0").gid, 0U);
  EXPECT_EQ(Credentials::of("root", "nogroup").gid, ::getgrnam("nogroup")->gr_gid);
  EXPECT_EQ(Credentials::of("4000000000", "4000000001").gid, 4000000001U);
  EXPECT_EQ(error_of([] { Credentials::of("no-such-user"); }),
            "user \"no-such-user\": no such user");
  EXPECT_EQ(error_of([] { Credentials::of("root", "no-such-group"); }),
            "group \"no-such-group\": no such group");
  EXPECT_THROW(Credentials::of("4000000000"), Error);
}

TEST(Credentials, are_changed_for_good_in_the_child) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root";
  const Credentials nobody = Credentials::of("nobody", "nogroup");
  const auto says = [](const char* field) {
    return told_by_child([=] { return status_field(field); },
                         {.credentials = Credentials::of("nobody", "nogroup")});
  };
  const std::string uid = std::to_string(nobody.uid);
  const std::string gid = std::to_string(nobody.gid);
  EXPECT_EQ(says("Uid"), uid + "\t" + uid + "\t" + uid + "\t" + uid);
  EXPECT_EQ(says("Gid"), gid + "\t" + gid + "\t" + gid + "\t" + gid);
  EXPECT_EQ(says("Groups"), gid + " ");
  EXPECT_EQ(says("CapEff"), "0000000000000000");
  EXPECT_EQ(output_of("id -u; id -g", {.credentials = nobody}), uid + "\n" + gid + "\n");
  EXPECT_EQ(::prctl(PR_GET_DUMPABLE), 1) << "the parent is what it was";
}

TEST(Credentials, leave_a_child_to_die_with_its_parent_when_it_assumes_them) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root";
  auto alive = ipc::make_pipe();
  test::Forked parent{[&] {
    const Process child = Process::fork(
        [&] {
          Credentials::of("nobody", "nogroup").assume();
          write_full(alive.writer.fd(), "x", "pipe");
          return sleep_for_ever();
        },
        {.die_with_parent = true});
    return sleep_for_ever();
  }};
  std::array<std::byte, 1> assumed;
  ASSERT_EQ(read_full(alive.reader.fd(), assumed, "pipe"), 1U);
  parent.kill(SIGKILL);
  parent.wait();
  EXPECT_TRUE(test::await_no_children());
}

TEST(Credentials, need_a_privilege) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root to give it up";
  Process child = Process::fork(
      [] {
        const std::string error =
            error_of([] { Process::spawn({"true"}, {.credentials = Credentials::of("root")}); });
        return error == "setgroups \"root\": Operation not permitted" ? 0 : 1;
      },
      {.credentials = Credentials::of("nobody")});
  EXPECT_EQ(child.wait(), ExitStatus::exited(0));
}

}  // namespace
}  // namespace procpool::proc
