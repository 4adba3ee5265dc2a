// What can be said of the processes of this system, from /proc alone.
//
//   return inspect(std::nullopt);       // every zombie and every orphan
//   return inspect(1234);               // one process, in words
#pragma once

#include <sys/types.h>

#include <optional>

namespace procpool::proc_demo {

// Prints it. Returns the program's exit code: 1 if there is no such process. A snapshot: what ends
// while it is taken, may be missing. Throws Error.
int inspect(std::optional<pid_t> pid);

}  // namespace procpool::proc_demo
