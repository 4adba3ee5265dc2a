// What the kernel says of a process or thread in /proc/ID/task/ID/stat, proc(5).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace procpool::detail {

struct ProcStat {
  char state;                // field 3: R, S, D, T, t, Z, X
  std::uint32_t flags;       // field 9: the kernel's PF_ flags
  std::uint64_t start_time;  // field 22: clock ticks after boot
};

// Of ProcStat::flags: it has not called execve(2) since it was forked.
inline constexpr std::uint32_t kForkedWithoutExec = 0x40;

// nullopt: there is none, or it is hidden from us (hidepid). Throws Error (EMFILE).
std::optional<ProcStat> read_proc_stat(pid_t id);

// The same, but nullopt also when there is nothing left to look with (EMFILE, ENFILE, ENOMEM).
std::optional<ProcStat> try_to_read_proc_stat(pid_t id);

// Whether the process that had this id and start time has ended, reaped or not. `known` are the
// bits of the start time that are compared. A process that is hidden from us is as alive as its
// pidfd says; without a descriptor to look with, each that has the id lives. Throws Error.
bool process_has_ended(pid_t id, std::uint64_t start_time, std::uint64_t known);

// Whether a process or thread has this id, by kill(2): needs no descriptor.
bool id_exists(pid_t id) noexcept;

}  // namespace procpool::detail
