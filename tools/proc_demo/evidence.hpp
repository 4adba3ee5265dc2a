// What the kernel says of a process: proc(5).
//
//   if (auto stat = stat_of(child)) say("its state is ", stat->state, ", its parent ", stat->ppid);
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proc/signal_set.hpp"

namespace procpool::proc_demo {

// From /proc/PID/stat, a snapshot. A process is known by its pid and its start time.
struct ProcStat {
  std::string name;
  char state = '?';
  pid_t ppid = 0;
  pid_t group = 0;
  pid_t session = 0;
  int terminal = 0;            // device number; 0: none
  pid_t foreground_group = 0;  // of that terminal
  int nice = 0;
  int threads = 0;
  std::uint64_t start_time = 0;  // clock ticks after boot
};

std::optional<ProcStat> stat_of(pid_t pid);  // nullopt: no such process; a zombie still is one

// "zombie: it has ended, and nobody has waited for it"; of one letter of proc(5).
std::string_view meaning_of(char state);

// A line of /proc/PID/status, without its name: "SigPnd"; empty: no such line, or no such process.
std::string status_field(pid_t pid, std::string_view field);

// The signals in a hexadecimal mask of /proc/PID/status.
bool mask_contains(pid_t pid, std::string_view field, int signal_number);

std::vector<pid_t> children_of(pid_t pid);  // zombies too

// Proportional set size, and what of it is private and written to: kB, of /proc/PID/smaps_rollup.
struct Memory {
  long pss = 0;
  long private_dirty = 0;
};
Memory memory_of(pid_t pid);

// The first word after a name in a text of lines "name: value".
long number_after(std::string_view text, std::string_view name);

}  // namespace procpool::proc_demo
