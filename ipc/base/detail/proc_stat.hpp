// What the kernel says of a process or thread in /proc/ID/stat, proc(5).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace procpool::detail {

struct ProcStat {
  char state;                // field 3: R, S, D, T, t, Z, X
  std::uint64_t start_time;  // field 22: clock ticks after boot
};

// nullopt: there is none, or it is hidden from us (hidepid). Throws Error (EMFILE).
std::optional<ProcStat> read_proc_stat(pid_t id);

}  // namespace procpool::detail
