#include <sys/prctl.h>
#include <unistd.h>

#include <atomic>

#include "ipc/base/error.hpp"
#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

bool is_subreaper() {
  int answer = 0;
  if (::prctl(PR_GET_CHILD_SUBREAPER, &answer) < 0) throw_errno("prctl");
  return answer != 0;
}

void play(Stage& stage) {
  const ipc::Shared<std::atomic<pid_t>> grandchild;
  const Cue worker_may_end;
  const Cue worker_reaped;
  const Cue manager_may_end;
  const Cue grandchild_may_end;
  const pid_t manager = stage.fork("manager", [&] {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    stage.say("becomes a subreaper: prctl(PR_SET_CHILD_SUBREAPER)");
    const pid_t worker = stage.fork("worker", [&] {
      stage.prove("fork gives that to the child", false, is_subreaper());
      *grandchild = stage.fork("grandchild", [&] { stage.await(grandchild_may_end); });
      stage.await(worker_may_end);
      stage.say("ends before its child");
    });
    worker_may_end.give();
    stage.reap(worker);
    worker_reaped.give();
    stage.await(manager_may_end);
    stage.say("ends, too");
  });
  stage.await(worker_reaped);
  stage.prove("the orphan goes to the nearest subreaper", manager,
              stage.look_for_adopter(*grandchild));
  manager_may_end.give();
  stage.await_end(manager);
  stage.prove("when that ends, to the next one", ::getpid(), stage.look_for_adopter(*grandchild));
  stage.reap(manager);
  grandchild_may_end.give();
  stage.reap(*grandchild);
}

}  // namespace

const Scenario subreaper_scenario{
    .name = "subreaper",
    .summary = "orphans go to the nearest ancestor that asked for them",
    .lesson =
        "prctl(PR_SET_CHILD_SUBREAPER) makes a process the adopter of all orphans among its "
        "descendants, as PID 1 is for the rest. Children do not inherit it. A subreaper gets "
        "SIGCHLD for children that it never made, and has to wait for them.",
    .play = play,
};

}  // namespace procpool::proc_demo
