#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>

#include "ipc/base/error.hpp"
#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

std::string link_of(pid_t pid, std::string_view what) {
  return std::filesystem::read_symlink(demo::text("/proc/", pid, "/", what));
}

// The steps of daemon(7), "SysV daemons", behind the second fork.
void become_daemon(Stage& stage) {
  ::umask(022);
  if (::chdir("/") < 0) throw_errno("chdir", "/");
  const UniqueFd null{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO}) ::dup2(null.fd(), fd);
  stage.say("umask 022, chdir /, and /dev/null for its standard input and output");
}

void play(Stage& stage) {
  const ipc::Shared<std::atomic<pid_t>> daemon;
  const Cue ready;
  const Cue may_end;
  const pid_t launcher = stage.fork("launcher", [&] {
    const pid_t middle = stage.fork("middle", [&] {
      stage.prove("setsid() in the first child", true, ::setsid() == ::getpid());
      *daemon = stage.fork("daemon", [&] {
        become_daemon(stage);
        stage.say("tells the launcher that it is ready");
        ready.give();
        stage.await(may_end);
        ::_exit(0);
      });
      stage.say("ends: the daemon leads no session, so no terminal can become its own");
    });
    stage.reap(middle);
    stage.await(ready);
    stage.say("ends with the daemon's verdict: exit code 0");
  });
  stage.prove("what the launcher's caller learns", "exited with code 0",
              stage.reap(launcher).text());
  stage.prove("parent of the daemon", ::getpid(), stage.look_for_adopter(*daemon));
  const auto stat = stat_of(*daemon);
  stage.prove("it is in the launcher's session", false,
              stat->session == stat_of(::getpid())->session);
  stage.prove("it leads its session", false, stat->session == *daemon);
  stage.prove("it has a terminal", false, stat->terminal != 0);
  stage.prove("working directory", "/", link_of(*daemon, "cwd"));
  stage.prove("standard input", "/dev/null", link_of(*daemon, "fd/0"));
  stage.prove("umask", "0022", status_field(*daemon, "Umask"));
  may_end.give();
  stage.reap(*daemon);
}

}  // namespace

const Scenario daemon_scenario{
    .name = "daemon",
    .summary = "a process that leaves its launcher, its terminal and its folder",
    .lesson =
        "fork, setsid, fork: no terminal, no session to lead, no parent that waits. / keeps no "
        "file "
        "system busy, and /dev/null takes what nobody reads. The launcher must not end before the "
        "daemon is ready, or its caller goes on too early. Under a service manager none of it is "
        "needed: stay in the foreground.",
    .play = play,
};

}  // namespace procpool::proc_demo
