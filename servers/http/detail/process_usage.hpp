// What a process has used of the machine.
//
//   if (const auto usage = usage_of(pid)) print(usage->cpu_seconds, usage->resident_bytes);
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace procpool::http {

struct ProcessUsage {
  double cpu_seconds;            // in user and kernel mode, all its threads
  double started_seconds;        // since the system was booted, with the time it slept
  std::uint64_t resident_bytes;  // pages that it shares with others included
};

// From /proc/PID/stat, proc(5). nullopt: there is no such process, or it is hidden from us.
std::optional<ProcessUsage> usage_of(pid_t pid);

}  // namespace procpool::http
