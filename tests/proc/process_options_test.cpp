// What a child is started with beyond the everyday, groups of processes, and input that is bad.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "proc/process.hpp"
#include "proc/signal_action.hpp"
#include "tests/proc/telling.hpp"
#include "tests/support/children.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::Gate;
using test::TempDir;

// A terminal without a session.
struct Terminal {
  UniqueFd master{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
  UniqueFd slave = [this] {
    std::array<char, 64> name{};
    ::grantpt(master.fd());
    ::unlockpt(master.fd());
    ::ptsname_r(master.fd(), name.data(), name.size());
    return UniqueFd{::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC)};
  }();
};

int first_cpu() {
  cpu_set_t ours;
  CPU_ZERO(&ours);
  ::sched_getaffinity(0, sizeof ours, &ours);
  int cpu = 0;
  while (!CPU_ISSET(cpu, &ours)) ++cpu;
  return cpu;
}

// Where control groups of version 2 are, proc_mounts(5); nullopt: nowhere.
std::optional<std::string> cgroup_mount() {
  std::ifstream mounts{"/proc/self/mounts"};
  std::string device;
  std::string folder;
  std::string type;
  for (std::string rest; mounts >> device >> folder >> type && std::getline(mounts, rest);) {
    if (type == "cgroup2") return folder;
  }
  return std::nullopt;
}

// Attributes.

TEST(Process, takes_a_terminal_and_is_interrupted_from_it) {
  const Terminal terminal;
  ASSERT_TRUE(terminal.slave.valid());
  Gate looking;
  Process child = Process::fork(
      [&] {
        const UniqueFd own{::open("/dev/tty", O_RDWR | O_CLOEXEC)};
        if (!own.valid()) return 1;
        looking.open();
        return sleep_for_ever();
      },
      {.process_group = ProcessGroup::session, .controlling_terminal = terminal.slave.fd()});
  wait_ready(looking.fd(), POLLIN, Deadline::in(test::kPatience));
  constexpr const char* kControlC = "\x03";
  write_full(terminal.master.fd(), kControlC, "terminal");
  EXPECT_EQ(child.wait(), ExitStatus::signaled(SIGINT));
}

TEST(Process, takes_no_terminal_that_is_none_or_without_a_session_of_its_own) {
  const UniqueFd file{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  EXPECT_EQ(error_of([&] {
              Process::spawn({"true"}, {.process_group = ProcessGroup::session,
                                        .controlling_terminal = file.fd()});
            }),
            "ioctl(TIOCSCTTY) \"true\": Inappropriate ioctl for device");
  EXPECT_EQ(error_of([&] { Process::spawn({"true"}, {.controlling_terminal = file.fd()}); }),
            "ioctl(TIOCSCTTY) \"true\": only the leader of a session takes a terminal");
}

TEST(Process, runs_on_the_cpus_that_it_is_given) {
  const int cpu = first_cpu();
  const std::string only = std::to_string(cpu);
  EXPECT_EQ(told_by_child([] { return status_field("Cpus_allowed_list"); }, {.cpus = {cpu}}), only);
  EXPECT_EQ(output_of("grep -w Cpus_allowed_list /proc/self/status", {.cpus = {cpu}}),
            "Cpus_allowed_list:\t" + only + "\n");
}

TEST(Process, refuses_cpus_that_are_not_there) {
  for (const int cpu : {-1, 1 << 30}) {
    EXPECT_EQ(error_of([&] { Process::spawn({"true"}, {.cpus = {cpu}}); }),
              "sched_setaffinity \"" + std::to_string(cpu) + "\": Invalid argument");
  }
  EXPECT_EQ(error_of([] { Process::spawn({"true"}, {.cpus = {100'000}}); }),
            "sched_setaffinity \"true\": Invalid argument");
}

TEST(Process, starts_in_the_cgroup_that_it_is_given) {
  const auto mount = cgroup_mount();
  if (!mount) GTEST_SKIP() << "no control groups of version 2";
  const std::string name = "procpool-test-" + std::to_string(::getpid());
  const std::string folder = *mount + "/" + name;
  if (::mkdir(folder.c_str(), 0755) != 0) GTEST_SKIP() << "no right to make a control group";
  const auto groups = [] { return read_file("/proc/self/cgroup"); };
  const std::string line = "0::/" + name + "\n";
  EXPECT_NE(told_by_child(groups, {.cgroup = folder}).find(line), std::string::npos);
  EXPECT_NE(output_of("cat /proc/self/cgroup", {.cgroup = folder}).find(line), std::string::npos);
  EXPECT_EQ(groups().find(line), std::string::npos) << "the parent stays where it was";
  EXPECT_TRUE(eventually([&] { return ::rmdir(folder.c_str()) == 0; }));
}

TEST(Process, refuses_a_cgroup_that_is_none) {
  EXPECT_EQ(error_of([] { Process::spawn({"true"}, {.cgroup = "/no/such"}); }),
            "open \"/no/such/cgroup.procs\": No such file or directory");
  const TempDir dir;
  std::filesystem::create_symlink("/dev/full", dir.path() / "cgroup.procs");
  EXPECT_EQ(error_of([&] { Process::spawn({"true"}, {.cgroup = dir.path()}); }),
            "cgroup \"" + dir.path().string() + "\": No space left on device");
}

TEST(Process, ignores_only_the_signals_that_it_is_told_to_ignore) {
  const ScopedSignalAction pipe{SIGPIPE, SIG_IGN};
  const ChildOptions deaf{.ignored_signals = {SIGHUP}};
  EXPECT_EQ(told_by_child([] { return status_field("SigIgn"); }, deaf), "0000000000000001");
  EXPECT_EQ(output_of("kill -HUP $$; echo alive", deaf), "alive\n");
  EXPECT_EQ(error_of([] { Process::spawn({"true"}, {.ignored_signals = {SIGKILL}}); }),
            "sigaction \"true\": Invalid argument");
}

TEST(Process, gains_no_privileges_when_it_renounces_them) {
  const auto renounced = [] { return status_field("NoNewPrivs"); };
  EXPECT_EQ(told_by_child(renounced), "0");
  EXPECT_EQ(told_by_child(renounced, {.no_new_privs = true}), "1");
  EXPECT_EQ(output_of("grep NoNewPrivs /proc/self/status", {.no_new_privs = true}),
            "NoNewPrivs:\t1\n");
}

TEST(Process, joins_the_group_of_another_child) {
  const Process leader = Process::fork(sleep_for_ever, {.process_group = ProcessGroup::own});
  const auto group = [] { return std::to_string(::getpgrp()); };
  EXPECT_EQ(told_by_child(group, {.join_group = leader.pid()}), std::to_string(leader.pid()));
  EXPECT_NE(error_of([&] {
              Process::spawn({"true"},
                             {.process_group = ProcessGroup::own, .join_group = leader.pid()});
            }),
            "no error");
}

// Groups.

constexpr const char* kFamily = "sleep 1000 & sleep 1000 & echo there; wait";

Process start_family(const std::string& command) {
  Process shell = Process::spawn({"/bin/sh", "-c", command},
                                 {.process_group = ProcessGroup::own,
                                  .redirections = {Redirection::pipe_from(STDOUT_FILENO)}});
  std::array<std::byte, 6> there;
  EXPECT_EQ(read_full(shell.pipe(STDOUT_FILENO).fd(), there, "sh"), there.size());
  return shell;
}

TEST(ProcessGroup, gets_a_signal_as_a_whole) {
  Process shell = start_family(kFamily);
  EXPECT_TRUE(shell.signal(SIGTERM, Recipient::group));
  EXPECT_EQ(shell.wait(), ExitStatus::signaled(SIGTERM));
  EXPECT_TRUE(test::await_no_children());
}

TEST(ProcessGroup, can_be_signalled_while_its_leader_has_ended_and_is_unreaped) {
  Process shell = start_family("sleep 1000 & echo there; exit 3");
  wait_ready(shell.fd(), POLLIN, Deadline::never());
  EXPECT_EQ(shell.peek(), ExitStatus::exited(3));
  EXPECT_TRUE(shell.signal(SIGKILL, Recipient::group));
  EXPECT_EQ(shell.wait(), ExitStatus::exited(3));
  EXPECT_FALSE(shell.signal(SIGKILL, Recipient::group)) << "its number may be another's now";
  EXPECT_TRUE(test::await_no_children());
}

TEST(ProcessGroup, leaves_nobody_behind_when_it_is_stopped) {
  Process shell = start_family("(trap '' TERM; echo there; exec sleep 1000) & wait");
  EXPECT_EQ(shell.stop({{SIGTERM, kForever}}, Recipient::group), ExitStatus::signaled(SIGTERM));
  EXPECT_TRUE(test::await_no_children()) << "who ignored SIGTERM is killed with its leader";
}

TEST(ProcessGroup, is_stopped_when_its_leader_had_ended_before) {
  Process shell = start_family("sleep 1000 & echo there; exit 4");
  wait_ready(shell.fd(), POLLIN, Deadline::never());
  EXPECT_EQ(shell.stop({{SIGTERM, kForever}}, Recipient::group), ExitStatus::exited(4));
  EXPECT_EQ(shell.stop({{SIGTERM, kForever}}, Recipient::group), ExitStatus::exited(4));
  EXPECT_TRUE(test::await_no_children());
}

TEST(ProcessGroup, reaches_a_leader_that_has_gone_elsewhere) {
  const Process other = Process::fork(sleep_for_ever, {.process_group = ProcessGroup::own});
  Gate gone;
  Process child = Process::fork(
      [&] {
        if (::setpgid(0, other.pid()) != 0) return 1;
        gone.open();
        return sleep_for_ever();
      },
      {.process_group = ProcessGroup::own});
  gone.wait();
  EXPECT_EQ(child.stop({{SIGTERM, kForever}}, Recipient::group), ExitStatus::signaled(SIGTERM));
}

TEST(ProcessGroup, is_never_that_of_the_parent) {
  Process child = Process::fork(sleep_for_ever);
  EXPECT_NE(error_of([&] { child.signal(SIGTERM, Recipient::group); }), "no error");
  EXPECT_NE(error_of([&] { child.stop({{SIGTERM, 1s}}, Recipient::group); }), "no error");
  EXPECT_TRUE(child.is_running());
}

// Signals with a value.

TEST(Process, sends_signals_with_their_values_in_order) {
  Process child = Process::fork(
      [] {
        const SignalSet awaited{SIGRTMIN};
        int sum = 0;
        for (int i = 0; i < 3; ++i) {
          siginfo_t info{};
          ::sigwaitinfo(&awaited.native(), &info);
          if (info.si_code != SI_QUEUE || info.si_pid != ::getppid()) return 255;
          sum = sum * 5 + info.si_value.sival_int;
        }
        return sum;
      },
      {.blocked_signals = {SIGRTMIN}});
  for (const int value : {1, 2, 3}) EXPECT_TRUE(child.signal_with_value(SIGRTMIN, value));
  EXPECT_EQ(child.wait(), ExitStatus::exited(1 * 25 + 2 * 5 + 3));
  EXPECT_FALSE(child.signal_with_value(SIGRTMIN, 4));
}

TEST(Process, says_when_no_more_signals_can_be_queued) {
  Process child = Process::fork(
      sleep_for_ever, {.limits = {{RLIMIT_SIGPENDING, 0, 0}}, .blocked_signals = {SIGRTMIN}});
  EXPECT_NE(error_of([&] {
              child.signal_with_value(SIGRTMIN, 1);
            }).find("Resource temporarily unavailable"),
            std::string::npos);
}

// Bad input.

TEST(Process, refuses_texts_that_the_kernel_would_cut_off) {
  const std::string cut{"a\0b", 3};
  EXPECT_EQ(error_of([&] { Process::spawn({"true", cut}); }), "exec \"a\": has a zero byte");
  EXPECT_EQ(error_of([&] { Process::spawn({cut}); }), "exec \"a\": has a zero byte");
  EXPECT_EQ(error_of([&] { Process::spawn({"true"}, {.working_directory = cut}); }),
            "chdir \"a\": has a zero byte");
  EXPECT_EQ(error_of([&] { Process::spawn({"true"}, {.environment = {{"A=" + cut}}}); }),
            "environment \"A=a\": has a zero byte");
  EXPECT_EQ(
      error_of([&] { Process::spawn({"true"}, {.redirections = {Redirection::file(1, cut)}}); }),
      "open \"a\": has a zero byte");
}

TEST(Process, refuses_variables_without_a_name_or_a_value) {
  for (const std::string variable : {"", "=", "=x", "NAME"}) {
    EXPECT_EQ(error_of([&] { Process::spawn({"true"}, {.environment = {{variable}}}); }),
              (variable.empty() ? "environment" : "environment \"" + variable + "\"") +
                  ": is not NAME=value");
  }
}

TEST(Process, refuses_a_redirection_of_what_is_no_descriptor) {
  EXPECT_EQ(error_of([] { Process::spawn({"true"}, {.redirections = {Redirection::null(-1)}}); }),
            "dup2 \"-1\": Bad file descriptor");
}

TEST(Process, says_why_a_file_is_no_program) {
  const TempDir dir;
  const std::string text = dir.path() / "text";
  std::ofstream{text} << "echo no interpreter is named\n";
  ::chmod(text.c_str(), 0755);
  const std::string loop = dir.path() / "loop";
  std::filesystem::create_symlink(loop, loop);
  EXPECT_EQ(error_of([&] { Process::spawn({text}); }), "exec \"" + text + "\": Exec format error");
  EXPECT_EQ(error_of([&] { Process::spawn({loop}); }),
            "exec \"" + loop + "\": Too many levels of symbolic links");
  EXPECT_EQ(error_of([&] { Process::spawn({dir.path()}); }),
            "exec \"" + dir.path().string() + "\": Permission denied");
  EXPECT_EQ(error_of([] { Process::spawn({""}); }), "exec: No such file or directory");
}

TEST(Process, says_that_the_arguments_are_too_long) {
  const std::string long_word(1 << 20, 'x');  // MAX_ARG_STRLEN is 128 KiB: execve(2)
  EXPECT_EQ(error_of([&] { Process::spawn({"true", long_word}); }),
            "exec \"true\": Argument list too long");
}

TEST(Process, does_not_start_in_a_directory_that_is_gone) {
  const std::string folder = TempDir{}.path();
  EXPECT_EQ(error_of([&] { Process::spawn({"true"}, {.working_directory = folder}); }),
            "chdir \"" + folder + "\": No such file or directory");
}

TEST(Process, says_that_there_are_too_many_processes) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root, to become a user whose processes are counted";
  Process crowded = Process::fork(
      [] {
        // One is there already: this one.
        const std::string again = ": Resource temporarily unavailable";
        if (error_of([] { Process::fork([] { return 0; }); }) != "fork" + again) return 1;
        if (error_of([] { Process::spawn({"true"}); }) != "clone \"true\"" + again) return 2;
        return test::has_children() ? 3 : 0;
      },
      {.limits = {{RLIMIT_NPROC, 1, 1}}, .credentials = Credentials::of("4000000011", "nogroup")});
  EXPECT_EQ(crowded.wait(), ExitStatus::exited(0));
}

TEST(Process, says_that_there_are_too_many_descriptors) {
  Process crowded = Process::fork(
      [] {
        const std::string full = "Too many open files";
        if (error_of([] { Process::spawn({"true"}); }).find(full) == std::string::npos) return 1;
        if (error_of([] { Process::fork([] { return 0; }); }).find(full) == std::string::npos) {
          return 2;
        }
        return ::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD ? 0 : 3;
      },
      {.limits = {{RLIMIT_NOFILE, 3, 3}}, .keep_only = {{}}});
  EXPECT_EQ(crowded.wait(), ExitStatus::exited(0));
}

// As high as we are allowed: where fs.nr_open is a billion, a loop would run so long.
TEST(Process, closes_descriptors_at_once_however_high_they_may_be) {
  Process child = Process::fork([] {
    const rlim_t most = std::stoul(read_file("/proc/sys/fs/nr_open"));
    rlimit limit{.rlim_cur = most, .rlim_max = most};
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
      ::getrlimit(RLIMIT_NOFILE, &limit);
      limit.rlim_cur = limit.rlim_max;
      ::setrlimit(RLIMIT_NOFILE, &limit);
    }
    constexpr rlim_t kRoomForTheTable = 1 << 20;
    const auto highest = static_cast<int>(std::min(limit.rlim_cur, kRoomForTheTable) - 1);
    if (::dup2(STDIN_FILENO, highest) < 0) return 1;
    if (output_of("ls -v /proc/$$/fd; exit", {.keep_only = {{}}}) != "0\n1\n2\n") return 2;
    return 0;
  });
  EXPECT_EQ(child.wait(), ExitStatus::exited(0));
}

TEST(Process, tells_what_its_child_has_used) {
  constexpr long kMicroseconds = 30'000;
  const auto time_used = [](const rusage& usage) {
    return usage.ru_utime.tv_sec * 1'000'000 + usage.ru_utime.tv_usec;
  };
  Process child = Process::fork([&] {
    rusage usage{};
    while (time_used(usage) < kMicroseconds) ::getrusage(RUSAGE_SELF, &usage);
    return 0;
  });
  EXPECT_FALSE(child.usage()) << "it is not reaped yet";
  EXPECT_EQ(child.wait(), ExitStatus::exited(0));
  ASSERT_TRUE(child.usage());
  EXPECT_GE(time_used(*child.usage()), kMicroseconds);
  EXPECT_GT(child.usage()->ru_maxrss, 0);
}

}  // namespace
}  // namespace procpool::proc
