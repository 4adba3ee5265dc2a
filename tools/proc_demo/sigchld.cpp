#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "proc/signal_mask.hpp"
#include "proc/signal_wait.hpp"
#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

std::size_t zombies_of(pid_t parent) {
  const auto children = children_of(parent);
  return static_cast<std::size_t>(std::ranges::count_if(children, [](pid_t child) {
    const auto stat = stat_of(child);
    return stat && stat->state == 'Z';
  }));
}

void play(Stage& stage) {
  const pid_t parent = stage.fork("parent", [&] {
    const proc::ScopedSignalMask blocked{{SIGCHLD}};
    stage.say("blocks SIGCHLD: it stays pending until it is taken");
    const Cue may_end;
    std::array<pid_t, 3> children{};
    for (pid_t& child : children) {
      child = stage.fork(demo::text("child ", &child - children.data() + 1), [&] {
        stage.await(may_end);
        ::_exit(0);
      });
    }
    may_end.give();
    for (const pid_t child : children) {
      stage.await_end(child);
      wait_for(child, WEXITED | WNOWAIT);  // then its SIGCHLD has come, too
    }
    stage.prove("zombies: all children have ended", 3, zombies_of(::getpid()));

    int taken = 0;
    while (proc::wait_for_signal({SIGCHLD}, Deadline::now())) ++taken;
    stage.say("takes all SIGCHLD that are pending: ", taken);
    stage.prove("SIGCHLD that arrived for 3 deaths", 1, taken);

    siginfo_t first{};
    ::waitid(P_ALL, 0, &first, WEXITED | WNOWAIT);
    stage.say("waits for one child for its one signal, as many programs do");
    stage.reap(first.si_pid);
    stage.prove("zombies after one wait for each signal", 2, zombies_of(::getpid()));

    for (const pid_t child : children) {
      if (child != first.si_pid) stage.reap(child);
    }
    stage.prove("zombies after a loop that waits until nobody is left", 0, zombies_of(::getpid()));
  });
  stage.reap(parent);
}

}  // namespace

const Scenario sigchld_scenario{
    .name = "sigchld",
    .summary = "three children end, and one SIGCHLD arrives",
    .lesson =
        "A standard signal is a flag, not a count: while it is pending, more of it change nothing. "
        "So one SIGCHLD may mean any number of dead children. Whoever gets one must wait in a "
        "loop, "
        "with WNOHANG, until nobody is left; or watch a pidfd for each child, which never merge.",
    .play = play,
};

}  // namespace procpool::proc_demo
