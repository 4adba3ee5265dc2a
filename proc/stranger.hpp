// A process that was adopted, and has ended.
//
//   for (const Stranger& orphan : supervisor.reap_strangers()) log(orphan.name, orphan.status);
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "proc/exit_status.hpp"

namespace procpool::proc {

// A value.
struct Stranger {
  pid_t pid;
  std::string name;  // as in ps(1), at most 15 bytes
  ExitStatus status;
};

// Reaps all children that have ended, for PID 1 or a subreaper, but those for which `collect_own`,
// given the pid, says true: it has then reaped the child itself. Call it at SIGCHLD. Never blocks.
// Who has a Supervisor asks that.
std::vector<Stranger> reap_strangers(const std::function<bool(pid_t)>& collect_own);

}  // namespace procpool::proc
