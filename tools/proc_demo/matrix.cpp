#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <string>
#include <string_view>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/process_id.hpp"
#include "proc/signal_mask.hpp"
#include "proc/signal_source.hpp"
#include "proc/signal_wait.hpp"
#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

constexpr int kCode = 3;
constexpr std::size_t kChildren = 3;
using Pids = std::array<std::atomic<pid_t>, kChildren>;

struct Children {
  ipc::Shared<Pids> pids;
  std::array<UniqueFd, kChildren> pidfds;
};

enum class Made { children, grandchildren };

// One way to deal with children: what is done before they are made, and when they have ended.
struct Policy {
  std::string_view name;
  std::string_view expected;
  Made made;
  void (*prepare)();
  int (*settle)(const Children&);  // how many statuses are known then
};

bool is_ours(const siginfo_t& info) {
  return info.si_pid != 0 && info.si_code == CLD_EXITED && info.si_status == kCode;
}

int wait_for_any(int most) {
  int known = 0;
  for (; known < most; ++known) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0 || !is_ours(info)) break;
  }
  return known;
}

void do_nothing() {}

int settle_nothing(const Children&) {
  return 0;
}

int wait_for_each(const Children& children) {
  int known = 0;
  for (const auto& pid : *children.pids) {
    siginfo_t info{};
    const auto id = static_cast<id_t>(pid.load());
    if (::waitid(P_PID, id, &info, WEXITED) == 0 && is_ours(info)) ++known;
  }
  return known;
}

void block_sigchld() {
  const sigset_t blocked = proc::SignalSet{SIGCHLD}.native();
  ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
}

int wait_in_a_loop(const Children&) {
  int known = 0;
  while (proc::wait_for_signal({SIGCHLD}, Deadline::now())) known += wait_for_any(kChildren);
  return known;
}

int wait_once_a_signal(const Children&) {
  int known = 0;
  while (proc::wait_for_signal({SIGCHLD}, Deadline::now())) known += wait_for_any(1);
  return known;
}

int read_signalfd(const Children&) {
  proc::SignalSource signals{{SIGCHLD}};
  int known = 0;
  while (signals.try_next()) known += wait_for_any(kChildren);
  return known;
}

void ignore_sigchld() {
  ::signal(SIGCHLD, SIG_IGN);
}

void want_no_zombies() {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  action.sa_flags = SA_NOCLDWAIT;
  ::sigaction(SIGCHLD, &action, nullptr);
}

int wait_by_pidfd(const Children& children) {
  int known = 0;
  for (const UniqueFd& pidfd : children.pidfds) {
    siginfo_t info{};
    const auto id = static_cast<id_t>(pidfd.fd());
    if (::waitid(P_PIDFD, id, &info, WEXITED) == 0 && is_ours(info)) ++known;
  }
  return known;
}

void become_subreaper() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

int adopt_and_wait(const Children&) {
  return wait_for_any(kChildren);
}

constexpr std::array kPolicies{
    Policy{"no wait", "3 zombies, 0 of 3 known, reaped by nobody", Made::children, do_nothing,
           settle_nothing},
    Policy{"wait for each", "0 zombies, 3 of 3 known, reaped by the parent", Made::children,
           do_nothing, wait_for_each},
    Policy{"SIGCHLD, loop", "0 zombies, 3 of 3 known, reaped by the parent", Made::children,
           block_sigchld, wait_in_a_loop},
    Policy{"SIGCHLD, once", "2 zombies, 1 of 3 known, reaped by the parent", Made::children,
           block_sigchld, wait_once_a_signal},
    Policy{"SIG_IGN", "0 zombies, 0 of 3 known, reaped by the kernel", Made::children,
           ignore_sigchld, wait_for_each},
    Policy{"SA_NOCLDWAIT", "0 zombies, 0 of 3 known, reaped by the kernel", Made::children,
           want_no_zombies, wait_for_each},
    Policy{"double fork", "0 zombies, 0 of 3 known, reaped by the adopter", Made::grandchildren,
           do_nothing, wait_for_each},
    Policy{"signalfd", "0 zombies, 3 of 3 known, reaped by the parent", Made::children,
           block_sigchld, read_signalfd},
    Policy{"pidfd", "0 zombies, 3 of 3 known, reaped by the parent", Made::children, do_nothing,
           wait_by_pidfd},
    Policy{"subreaper", "0 zombies, 3 of 3 known, reaped by the parent", Made::grandchildren,
           become_subreaper, adopt_and_wait},
};

// They end when the cue is given. Bare forks: thirty of them would fill the timeline.
void fork_all(const Stage& stage, const Cue& may_end, Pids& pids) {
  for (auto& pid : pids) {
    const pid_t child = ::fork();
    if (child < 0) throw_errno("fork");
    if (child == 0) {
      stage.await(may_end);
      ::_exit(kCode);
    }
    pid = child;
  }
}

void make(const Stage& stage, const Cue& may_end, Made made, Children& children) {
  if (made == Made::children) {
    fork_all(stage, may_end, *children.pids);
  } else {
    const pid_t middle = ::fork();
    if (middle < 0) throw_errno("fork");
    if (middle == 0) {
      fork_all(stage, may_end, *children.pids);
      ::_exit(0);
    }
    wait_for(middle, WEXITED);
  }
  for (std::size_t i = 0; i < kChildren; ++i) {
    children.pidfds[i] = open_pidfd((*children.pids)[i]);
  }
}

void await_ends(const Children& children) {
  for (std::size_t i = 0; i < kChildren; ++i) {
    wait_ready(children.pidfds[i].fd(), POLLIN, Deadline::never());
    siginfo_t info{};  // when this returns, its SIGCHLD has come, too
    ::waitid(P_PID, static_cast<id_t>((*children.pids)[i].load()), &info,
             WEXITED | WNOWAIT | WNOHANG);
  }
}

// From /proc: whose zombies they are, if they are any.
std::string outcome_of(const Children& children, int known) {
  int own = 0;
  int of_others = 0;
  for (const auto& pid : *children.pids) {
    const auto stat = stat_of(pid);
    if (!stat || stat->state != 'Z') continue;
    ++(stat->ppid == ::getpid() ? own : of_others);
  }
  const std::string_view reaper = known > 0       ? "the parent"
                                  : own > 0       ? "nobody"
                                  : of_others > 0 ? "the adopter"
                                                  : "the kernel";
  return demo::text(own, " zombies, ", known, " of ", kChildren, " known, reaped by ", reaper);
}

void play(Stage& stage) {
  stage.say("for each policy a parent with 3 children that end with code 3 at the same moment");
  for (const Policy& policy : kPolicies) {
    const pid_t parent = stage.fork(policy.name, [&] {
      policy.prepare();
      const Cue may_end;
      Children children;
      make(stage, may_end, policy.made, children);
      may_end.give();
      await_ends(children);
      const int known = policy.settle(children);
      stage.prove(policy.name, policy.expected, outcome_of(children, known));
    });
    stage.reap(parent);
    for (const pid_t adopted : children_of(::getpid())) wait_for(adopted, WEXITED);
  }
}

}  // namespace

const Scenario matrix_scenario{
    .name = "matrix",
    .summary = "the same deaths under each policy: zombies left, status known, who reaped",
    .lesson =
        "Waiting for each child, a loop at SIGCHLD and a pidfd each know every status and leave "
        "nothing. One wait for each signal leaves zombies, because signals merge. SIG_IGN, "
        "SA_NOCLDWAIT and the double fork leave no zombie, but the parent learns no status.",
    .play = play,
};

}  // namespace procpool::proc_demo
