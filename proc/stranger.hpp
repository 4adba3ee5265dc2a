// A process that was adopted, and has ended.
//
//   for (const Stranger& orphan : supervisor.reap_strangers()) log(orphan.name, orphan.status);
#pragma once

#include <sys/types.h>

#include <string>

#include "proc/exit_status.hpp"

namespace procpool::proc {

// A value.
struct Stranger {
  pid_t pid;
  std::string name;  // as in ps(1), at most 15 bytes
  ExitStatus status;
};

}  // namespace procpool::proc
