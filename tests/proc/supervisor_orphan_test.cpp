#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "ipc/pipe.hpp"
#include "proc/supervisor.hpp"
#include "tests/proc/watched_supervisor.hpp"
#include "tests/support/forked.hpp"

namespace procpool::proc {
namespace {

using test::Forked;

// A child that leaves an orphan called "waif", which ends with code 9 when it knows its new parent.
int leave_an_orphan(ChildContext& context) {
  const pid_t parent = ::getpid();
  if (::fork() == 0) {
    ::prctl(PR_SET_NAME, "waif");
    while (::getppid() == parent) ::sched_yield();
    ::_exit(9);
  }
  context.ready();
  return 0;
}

ChildSpec leaving_an_orphan() {
  ChildSpec child = worker(leave_an_orphan);
  child.restart_type = RestartType::temporary;
  return child;
}

// Each runs in a process of its own, whose children are all the supervisor's. 0: as expected.
int adopt() {
  Watched watched;
  watched.supervisor.adopt_orphans();
  watched.start({worker(), leaving_an_orphan()});
  watched.step_until_told(Kind::orphan_ended);
  watched.step_until_told(Kind::exited);  // its parent: adopted before that is a zombie
  const SupervisorEvent& orphan = watched.first(Kind::orphan_ended);
  if (orphan.status != ExitStatus::exited(9)) return 2;
  if (orphan.name != "waif" || orphan.pid <= 0) return 3;
  const std::string process = std::to_string(orphan.pid);
  if (orphan.text() != "waif (process " + process + ", an orphan): exited with code 9") return 4;
  if (watched.count(Kind::exited) != 1 || watched.running() != 1) return 5;
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0 ? 0 : 6;
}

TEST(SupervisorOrphans, are_adopted_reaped_and_told_of) {
  Forked process{adopt};
  EXPECT_EQ(process.wait(), test::exited(0));
}

TEST(SupervisorOrphans, that_died_before_are_reaped_too) {
  Forked process{[] {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    const pid_t early = ::fork();
    if (early == 0) ::_exit(7);
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(early), &info, WEXITED | WNOWAIT);
    Watched watched;
    watched.supervisor.adopt_orphans();
    watched.step_until_told(Kind::orphan_ended);
    return watched.first(Kind::orphan_ended).pid == early ? 0 : 2;
  }};
  EXPECT_EQ(process.wait(), test::exited(0));
}

TEST(SupervisorOrphans, come_in_crowds_and_its_own_children_are_not_among_them) {
  Forked process{[] {
    Watched watched;
    watched.supervisor.adopt_orphans();
    constexpr int kOrphans = 20;
    watched.start({worker(), worker()});
    for (int i = 0; i < kOrphans; ++i) watched.supervisor.add(leaving_an_orphan());
    for (const pid_t pid : {watched.pids()[0], watched.pids()[1]}) ::kill(pid, SIGKILL);
    watched.step_until([&] {
      return watched.count(Kind::orphan_ended) == kOrphans &&
             watched.count(Kind::ready) == kOrphans + 4 &&
             watched.count(Kind::exited) == kOrphans + 2;
    });
    for (const auto& event : watched.events) {
      if (event.kind == Kind::orphan_ended && event.name != "waif") return 2;
    }
    return watched.running() == 2 ? 0 : 3;
  }};
  EXPECT_EQ(process.wait(), test::exited(0));
}

TEST(SupervisorOrphans, are_the_first_process_s_duty) {
  constexpr int kNotAllowed = 77;
  Forked process{[] {
    if (::unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) return kNotAllowed;
    Forked first{[] {
      if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return kNotAllowed;
      if (::mount("proc", "/proc", "proc", 0, nullptr) != 0) return kNotAllowed;
      return ::getpid() == 1 ? adopt() : 10;
    }};
    const test::Ending ending = first.wait();
    return ending.by_signal ? 11 : ending.number;
  }};
  const test::Ending ending = process.wait();
  if (ending == test::exited(kNotAllowed)) GTEST_SKIP() << "may not make a pid namespace";
  EXPECT_EQ(ending, test::exited(0));
}

}  // namespace
}  // namespace procpool::proc
