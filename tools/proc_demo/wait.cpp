#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "ipc/base/error.hpp"
#include "ipc/base/process_id.hpp"
#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

siginfo_t waited(idtype_t type, int id, int flags) {
  siginfo_t info{};
  if (::waitid(type, static_cast<id_t>(id), &info, flags) < 0) throw_errno("waitid");
  return info;
}

void show_states(Stage& stage) {
  const Cue may_end;
  const pid_t child = stage.fork("child", [&] {
    stage.await(may_end);
    ::_exit(3);
  });
  stage.prove("waitpid(WNOHANG) while it runs", 0, ::waitpid(child, nullptr, WNOHANG));

  stage.signal(child, SIGSTOP);
  const siginfo_t stopped = waited(P_PID, child, WSTOPPED);
  stage.prove("waitid(WSTOPPED) tells the signal", "SIGSTOP", proc::signal_name(stopped.si_status));
  stage.look(child);
  stage.signal(child, SIGCONT);
  const siginfo_t continued = waited(P_PID, child, WCONTINUED);
  stage.prove("waitid(WCONTINUED) tells that it goes on", true, continued.si_code == CLD_CONTINUED);
  stage.look(child);

  may_end.give();
  stage.await_end(child);
  stage.prove("waitid(WEXITED | WNOWAIT): the status, and no reaping", "exited with code 3",
              stage.peek(child).text());
  stage.prove("waitid(WEXITED): the same, and it is reaped", "exited with code 3",
              stage.reap(child).text());
  const bool again = ::waitpid(child, nullptr, 0) == child;
  stage.prove("a second wait", "No child processes", again ? "" : error_text(errno));
}

void show_whom(Stage& stage) {
  const Cue never;
  const pid_t killed = stage.fork("killed", [&] { stage.await(never); });
  const UniqueFd pidfd = open_pidfd(killed);
  stage.signal(killed, SIGKILL);
  const siginfo_t by_pidfd = waited(P_PIDFD, pidfd.fd(), WEXITED | WNOWAIT);
  stage.prove("waitid(P_PIDFD): a signal is no exit code", "killed by SIGKILL",
              proc::ExitStatus::from_siginfo(by_pidfd).text());
  stage.reap(killed);

  const pid_t member = stage.fork("member", [] {
    ::setpgid(0, 0);
    ::_exit(1);
  });
  stage.await_end(member);
  const siginfo_t of_group = waited(P_PGID, member, WEXITED | WNOWAIT);
  stage.prove("waitid(P_PGID): whoever of a group has ended", member, of_group.si_pid);
  rusage usage{};
  int status = 0;
  const pid_t any = ::wait4(-1, &status, 0, &usage);
  stage.reaped(any, proc::ExitStatus::from_wait_status(status));
  stage.prove("wait4(-1): any child, with what it used", member, any);
  stage.prove("its memory at most is known (ru_maxrss)", true, usage.ru_maxrss > 0);
  stage.prove("wait with no child left", "No child processes",
              ::wait(nullptr) < 0 ? error_text(errno) : "");
}

void play(Stage& stage) {
  show_states(stage);
  show_whom(stage);
}

}  // namespace

const Scenario wait_scenario{
    .name = "wait",
    .summary = "all forms of waiting: one, any, a group, a pidfd; stopped, continued, ended",
    .lesson =
        "Wait for the child that you mean (a pid, or better a pidfd), not for any: wait(-1) takes "
        "the status away from whoever else waits in the program. WNOHANG asks, WNOWAIT looks "
        "without taking. An exit code and a signal are two different things, and a status can be "
        "had once.",
    .play = play,
};

}  // namespace procpool::proc_demo
