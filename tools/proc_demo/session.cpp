#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "proc/signal_action.hpp"
#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

UniqueFd make_terminal() {
  UniqueFd master{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
  if (!master.valid() || ::grantpt(master.fd()) < 0 || ::unlockpt(master.fd()) < 0) {
    throw_errno("posix_openpt");
  }
  return master;
}

struct Members {
  std::atomic<pid_t> foreground;
  std::atomic<pid_t> background;
};

// Leads a session with a terminal, as a login shell does.
void lead(Stage& stage, const std::string& terminal, const ipc::Shared<Members>& members,
          const Cue& ready, const Cue& interrupted) {
  const Cue never;
  stage.prove("setsid() gives a session of its own", true, ::setsid() == ::getpid());
  const bool again = ::setsid() >= 0;
  stage.prove("setsid() of who leads a group already", "Operation not permitted",
              again ? "" : error_text(errno));
  const UniqueFd tty{::open(terminal.c_str(), O_RDWR | O_CLOEXEC)};
  if (!tty.valid()) throw_errno("open", terminal);
  stage.say("opens a terminal: it becomes the session's, for who opens leads one without");
  const proc::ScopedSignalAction may_give_away{SIGTTOU, SIG_IGN};

  members->foreground = stage.fork("foreground", [&] { stage.await(never); });
  ::setpgid(members->foreground, members->foreground);
  if (::tcsetpgrp(tty.fd(), members->foreground) < 0) throw_errno("tcsetpgrp");
  stage.say("puts it into a group of its own, and that into the foreground: tcsetpgrp");

  members->background = stage.fork("background", [&] {
    ::setpgid(0, 0);
    stage.say("reads from the terminal, which only the foreground may");
    char c = 0;
    static_cast<void>(::read(tty.fd(), &c, 1));
  });
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(members->background.load()), &info, WSTOPPED);
  stage.prove("what stopped the background", "SIGTTIN", proc::signal_name(info.si_status));
  stage.look(members->background);
  ready.give();
  stage.prove("what ^C did to the foreground", "killed by SIGINT",
              stage.reap(members->foreground).text());
  interrupted.give();
  stage.await(never);
}

void play(Stage& stage) {
  UniqueFd master = make_terminal();
  const std::string terminal = ::ptsname(master.fd());
  const ipc::Shared<Members> members;
  const Cue ready;
  const Cue interrupted;
  const pid_t leader = stage.fork("leader", [&] {
    master.reset();  // the terminal is hung up when nobody has it any more
    lead(stage, terminal, members, ready, interrupted);
  });
  stage.await(ready);
  stage.prove("session of the foreground", leader, stat_of(members->foreground)->session);
  stage.prove("group that has the terminal", members->foreground.load(),
              stat_of(leader)->foreground_group);
  stage.say("types ^C at the terminal");
  write_full(master.fd(), "\x03", "terminal");
  stage.await(interrupted);
  stage.say("hangs the terminal up");
  master.reset();
  stage.await_end(leader);
  stage.prove("what the hang-up did to the leader", "killed by SIGHUP", stage.reap(leader).text());
  stage.await_end(members->background);
  stage.prove("and to the stopped group that it left behind", "killed by SIGHUP",
              stage.reap(members->background).text());
}

}  // namespace

const Scenario session_scenario{
    .name = "session",
    .summary = "sessions, groups and a terminal: ^C, the background, the hang-up",
    .lesson =
        "A session has one terminal at most, and one of its groups is in the foreground: ^C goes "
        "to "
        "that group, and others that read are stopped. At the hang-up the leader gets SIGHUP; "
        "stopped groups that lose their last tie to it get SIGHUP and SIGCONT. A daemon calls "
        "setsid to be out of all that.",
    .play = play,
};

}  // namespace procpool::proc_demo
