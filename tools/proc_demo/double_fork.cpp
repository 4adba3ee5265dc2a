#include <unistd.h>

#include <atomic>

#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

void play(Stage& stage) {
  const ipc::Shared<std::atomic<pid_t>> grandchild;
  const Cue launched;
  const Cue launcher_may_end;
  const Cue may_end;
  const pid_t launcher = stage.fork("launcher", [&] {
    const pid_t middle = stage.fork("middle", [&] {
      *grandchild = stage.fork("grandchild", [&] {
        stage.await(may_end);
        ::_exit(5);
      });
      stage.say("ends at once: it was there to be between");
    });
    stage.reap(middle);
    stage.say("has waited for its child, in no time, and has none any more");
    launched.give();
    stage.await(launcher_may_end);
  });
  stage.await(launched);
  stage.prove("children of the launcher", 0, children_of(launcher).size());
  stage.prove("the grandchild's parent is the subreaper", ::getpid(),
              stage.look_for_adopter(*grandchild));
  may_end.give();
  stage.await_end(*grandchild);
  stage.prove("zombies that the launcher has to wait for", 0, children_of(launcher).size());
  stage.prove("what the adopter learns", "exited with code 5", stage.reap(*grandchild).text());
  launcher_may_end.give();
  stage.reap(launcher);
}

}  // namespace

const Scenario double_fork_scenario{
    .name = "double-fork",
    .summary = "a process in between makes the grandchild somebody else's",
    .lesson =
        "Who starts something that is to outlive it, and will not wait for it, forks twice: the "
        "process in between ends at once and is reaped, and the grandchild is an orphan from its "
        "first moment. Its adopter waits for it, and gets its status; the launcher never does.",
    .play = play,
};

}  // namespace procpool::proc_demo
