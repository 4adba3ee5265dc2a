#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/signal_action.hpp"
#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

void do_nothing(int) {}

// vfork(2) with memory of the child's own, so that it may call what it likes.
pid_t vfork_with_a_copy() {
  return static_cast<pid_t>(::syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0));
}

// A process that waits in vfork(2) for its child: only a signal that ends it wakes it before.
[[noreturn]] void wait_in_vfork(Stage& stage, const Cue& may_end) {
  const proc::ScopedSignalAction handled{SIGUSR1, do_nothing};
  const pid_t pid = vfork_with_a_copy();
  if (pid == 0) {
    stage.await(may_end);
    ::_exit(0);
  }
  stage.reaped(pid, wait_for(pid, WEXITED));
  ::_exit(0);
}

void play(Stage& stage) {
  const Cue may_end;
  const pid_t runner = stage.fork("runner", [] {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const volatile bool for_ever = true;
    while (for_ever) {
    }
  });
  stage.await_state(runner, 'R');
  stage.prove("computes", 'R', stat_of(runner)->state);
  stage.signal(runner, SIGSTOP);
  wait_for(runner, WSTOPPED | WNOWAIT);
  stage.prove("after SIGSTOP", 'T', stage.look(runner));
  stage.signal(runner, SIGCONT);
  stage.await_state(runner, 'R');
  stage.prove("after SIGCONT", 'R', stat_of(runner)->state);
  stage.signal(runner, SIGKILL);
  stage.await_end(runner);
  stage.prove("after SIGKILL, before wait", 'Z', stage.look(runner));
  stage.reap(runner);
  stage.prove("after wait", '-', stage.look(runner));

  const pid_t sleeper = stage.fork("sleeper", [&] { stage.await(may_end); });
  stage.await_state(sleeper, 'S');
  stage.prove("waits in poll(2)", 'S', stat_of(sleeper)->state);

  const pid_t vforker = stage.fork("vforker", [&] { wait_in_vfork(stage, may_end); });
  stage.await_state(vforker, 'D');
  stage.prove("waits in vfork(2) until its child executes or ends", 'D', stat_of(vforker)->state);
  stage.signal(vforker, SIGUSR1);
  stage.prove("after SIGUSR1, which it handles", 'D', stage.look(vforker));
  stage.prove("the signal waits so long: it is pending", true,
              mask_contains(vforker, "ShdPnd", SIGUSR1));
  may_end.give();
  stage.await_end(vforker);
  stage.prove("it went on when its child had ended", "exited with code 0",
              stage.reap(vforker).text());
  stage.reap(sleeper);
}

}  // namespace

const Scenario states_scenario{
    .name = "states",
    .summary = "R, S, D, T and Z: the states of a process, seen in /proc",
    .lesson =
        "R computes or waits for a CPU; S sleeps and can be woken by a signal; D sleeps where only "
        "the event it waits for wakes it (a disk, here vfork), and signals that it handles wait so "
        "long; T is "
        "stopped until SIGCONT; Z is dead and not waited for. ps(1) shows the same letters.",
    .play = play,
};

}  // namespace procpool::proc_demo
