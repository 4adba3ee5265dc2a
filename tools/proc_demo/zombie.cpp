#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

void play(Stage& stage) {
  constexpr int kCode = 7;
  const ipc::Shared<std::atomic<pid_t>> child;
  const Cue forked;
  const Cue may_wait;
  const pid_t parent = stage.fork("parent", [&] {
    *child = stage.fork("child", [&] {
      stage.say("ends: _exit(", kCode, ")");
      ::_exit(kCode);
    });
    stage.say("has other things to do than to wait for its child");
    forked.give();
    stage.await(may_wait);
    stage.prove("what WNOWAIT tells", "exited with code 7", stage.peek(*child).text());
    stage.prove("state after WNOWAIT", 'Z', stage.look(*child));
    stage.prove("what wait tells", "exited with code 7", stage.reap(*child).text());
  });
  stage.await(forked);
  stage.await_end(*child);
  stage.prove("state of a child that nobody waited for", 'Z', stage.look(*child));
  stage.prove("kill(pid, 0) finds a zombie", true, ::kill(*child, 0) == 0);
  stage.prove("a zombie has memory (VmSize)", false, !status_field(*child, "VmSize").empty());
  stage.signal(*child, SIGKILL);
  stage.prove("state after SIGKILL: the dead cannot be killed", 'Z', stage.look(*child));
  may_wait.give();
  stage.await_end(parent);
  stage.prove("the child after its parent has waited", '-', stage.look(*child));
  stage.reap(parent);
}

}  // namespace

const Scenario zombie_scenario{
    .name = "zombie",
    .summary = "a child has ended, and its parent does not wait for it",
    .lesson =
        "A zombie is the note that a child leaves its parent: pid and exit status, no memory, no "
        "open file. It cannot be killed, for it is dead already; only its parent's wait removes "
        "it, "
        "or the parent's end, after which the adopter waits. Whoever forks has to wait.",
    .play = play,
};

}  // namespace procpool::proc_demo
