// Everything between fork and exec, or between fork and the child's function: one table of steps.
//
//   ChildPlan plan = ...;                          // made before fork, everything allocated
//   if (child) { if (set_up_child(plan)) execute(plan); _exit(kSetUpFailed); }
//
// What runs in the child here is async-signal-safe (signal-safety(7)): it may share its parent's
// memory, or hold a copy in which another thread had locked the heap. System calls are made raw
// where the library's form would act on all threads of the parent (setresuid(2), "C library/kernel
// differences").
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proc/child_options.hpp"

namespace procpool::proc::detail {

// What the child does, with nothing left to look up or allocate. Lends what the parent owns.
struct ChildPlan {
  const ChildOptions* options = nullptr;
  pid_t parent = 0;
  // The failed step is written here; not the target of a redirection. -1: no step can fail.
  int report_fd = -1;
  int cgroup_fd = -1;  // cgroup.procs, open for writing; -1: it stays in its parent's
  std::vector<unsigned long> cpus{};  // as the bits of sched_setaffinity(2)

  std::vector<std::pair<int, int>> duplicates{};  // dup2(first, second), in order
  std::vector<int> parents_only{};                // closed
  std::optional<std::vector<int>> keep{};         // sorted, with report_fd; others >= 3 are closed

  std::optional<std::vector<char*>> environment{};  // ends in nullptr

  // For a program only. The first of `programs` that can be run, is.
  std::vector<const char*> programs{};
  std::vector<char*> argv{};  // ends in nullptr
};

// What goes down the report pipe.
struct Report {
  int step;
  int error_number;  // 0: all is done
};

// In the child. False: a step failed and is reported; the child then ends in _exit(kSetUpFailed).
[[nodiscard]] bool set_up_child(const ChildPlan& plan) noexcept;

// In the child, after set_up_child: a function's child says that it is done, and closes report_fd.
void report_done(const ChildPlan& plan) noexcept;

// In the child, after set_up_child. Returns only if nothing could be run, which is then reported.
void execute(const ChildPlan& plan) noexcept;

inline constexpr int kSetUpFailed = 127;

// In the parent: what the child has written to the other end of report_fd, without blocking;
// nullopt: no failure.
std::optional<Report> read_failure(int reader);

// In the parent: the step's name, and the object that it failed on.
const char* step_name(const Report& failure) noexcept;
std::string step_object(const Report& failure, const ChildPlan& plan);

}  // namespace procpool::proc::detail
