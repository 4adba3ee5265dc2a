#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

void show_parent(Stage& stage) {
  const ipc::Shared<std::atomic<pid_t>> child;
  const Cue armed;
  const Cue never;
  const pid_t parent = stage.fork("parent", [&] {
    *child = stage.fork("child", [&] {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      stage.say("asks for SIGKILL when its parent dies: prctl(PR_SET_PDEATHSIG)");
      const pid_t grandchild = stage.fork("grandchild", [&] {
        int signal = 0;
        ::prctl(PR_GET_PDEATHSIG, &signal);
        stage.prove("fork clears it", 0, signal);
      });
      stage.reap(grandchild);
      armed.give();
      stage.await(never);
    });
    stage.await(armed);
    stage.say("ends");
  });
  stage.await(armed);
  stage.await_end(parent);
  stage.await_end(*child);
  stage.prove("how the child ended", "killed by SIGKILL", stage.reap(*child).text());
  stage.reap(parent);
}

void show_thread(Stage& stage) {
  const pid_t parent = stage.fork("threaded", [&] {
    const Cue armed;
    const Cue never;
    pid_t child = 0;
    std::thread{[&] {
      child = stage.fork("of thread", [&] {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        armed.give();
        stage.await(never);
      });
      stage.await(armed);
      stage.say("its thread that forked ends; the process goes on");
    }}.join();
    stage.await_end(child);
    stage.prove("though the parent process lives, the child was", "killed by SIGKILL",
                stage.reap(child).text());
  });
  stage.reap(parent);
}

void play(Stage& stage) {
  show_parent(stage);
  show_thread(stage);
}

}  // namespace

const Scenario pdeathsig_scenario{
    .name = "pdeathsig",
    .summary = "a child that dies with its parent, and what its parent is",
    .lesson =
        "PR_SET_PDEATHSIG sends the child a signal when the *thread* that forked it ends, not the "
        "process: fork from a thread that stays. fork clears it, so do set-user-ID programs and a "
        "change of credentials. If the parent may have died before the call, compare getppid() "
        "after it; a pipe that hangs up is the second safeguard.",
    .play = play,
};

}  // namespace procpool::proc_demo
