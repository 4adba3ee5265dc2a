#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "ipc/base/error.hpp"
#include "tools/proc_demo/program.hpp"
#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

struct Identity {
  pid_t pid = 0;
  std::uint64_t start_time = 0;
};

bool has_descriptor(pid_t pid, int fd) {
  return ::access(demo::text("/proc/", pid, "/fd/", fd).c_str(), F_OK) == 0;
}

void play(Stage& stage) {
  const UniqueFd closed{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  const UniqueFd kept{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  const ipc::Shared<Identity> before;
  Program program{stage, "program", [&] {
                    if (::chdir("/") < 0) throw_errno("chdir");
                    ::fcntl(kept.fd(), F_SETFD, 0);
                    const auto stat = stat_of(::getpid());
                    before->pid = ::getpid();
                    before->start_time = stat->start_time;
                    stage.say("is called ", stat->name, "; goes to /, and clears FD_CLOEXEC of ",
                              kept.fd());
                  }};
  const auto after = stat_of(program.pid());
  stage.prove("pid", before->pid, program.pid());
  stage.prove("start time: it is the same process", before->start_time, after->start_time);
  stage.prove("parent", ::getpid(), after->ppid);
  stage.prove("name", "cat", after->name);
  stage.prove("a descriptor with FD_CLOEXEC is open", false,
              has_descriptor(program.pid(), closed.fd()));
  stage.prove("one without is open", true, has_descriptor(program.pid(), kept.fd()));
  program.end();

  const pid_t failing = stage.fork("failing", [&] {
    stage.say("executes /nowhere/program");
    ::execl("/nowhere/program", "program", nullptr);
    stage.prove("exec returns only when it fails", "No such file or directory", error_text(errno));
    ::_exit(127);
  });
  stage.prove("what the parent learns: a number that could be the program's own",
              "exited with code 127", stage.reap(failing).text());
}

}  // namespace

const Scenario exec_scenario{
    .name = "exec",
    .summary = "another program in the same process",
    .lesson =
        "exec replaces the memory and nothing else: pid, parent, start time, working directory, "
        "mask and what is ignored stay, and so does every descriptor without FD_CLOEXEC. It "
        "returns "
        "only if it fails; tell the parent the reason over a pipe with FD_CLOEXEC, for an exit "
        "code "
        "cannot.",
    .play = play,
};

}  // namespace procpool::proc_demo
