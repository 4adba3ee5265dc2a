#include <unistd.h>

#include <atomic>

#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

void play(Stage& stage) {
  const ipc::Shared<std::atomic<pid_t>> child;
  const Cue forked;
  const Cue parent_may_end;
  const Cue child_may_end;
  const pid_t parent = stage.fork("parent", [&] {
    *child = stage.fork("child", [&] {
      stage.await(child_may_end);
      stage.say("asks getppid(): ", ::getppid());
      ::_exit(3);
    });
    forked.give();
    stage.await(parent_may_end);
    stage.say("ends before its child");
  });
  stage.await(forked);
  stage.prove("parent of the child at first", parent, stat_of(*child)->ppid);
  parent_may_end.give();
  stage.await_end(parent);
  stage.prove("the orphan's new parent is the subreaper, not PID 1", ::getpid(),
              stage.look_for_adopter(*child));
  stage.prove("though its parent is a zombie still", 'Z', stage.look(parent));
  stage.reap(parent);
  child_may_end.give();
  stage.await_end(*child);
  stage.prove("what the adopter learns of it", "exited with code 3", stage.reap(*child).text());
}

}  // namespace

const Scenario orphan_scenario{
    .name = "orphan",
    .summary = "a parent ends before its child",
    .lesson =
        "An orphan goes on as before: nobody kills it, and it gets a new parent at the moment the "
        "old one ends. That is the nearest ancestor that is a subreaper (here: this tool; on many "
        "desktops: systemd --user), and only if there is none, PID 1. The adopter has to wait for "
        "it.",
    .play = play,
};

}  // namespace procpool::proc_demo
