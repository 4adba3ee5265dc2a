// Processes that are meant to outlive the one that starts them.
//
//   ProcessId viewer = spawn_detached({"xdg-open", "report.pdf"},
//                                     {.redirections = {Redirection::null(0)}});
//   ProcessId cleaner = fork_detached([] { return clean_up(); }, {.keep_only = {{}}});
//   if (viewer.is_dead()) ...
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ipc/base/process_id.hpp"
#include "proc/child_options.hpp"

namespace procpool::proc {

// As Process::spawn and Process::fork, but by double fork: a process in between leads a new session
// without a terminal, starts this one and ends. So it is nobody's child who would have to wait for
// it: process 1, or the nearest subreaper above (prctl(2), PR_SET_CHILD_SUBREAPER), reaps it; no
// terminal signals it, nor can it get one by opening it. Returns when it runs, with the pid and the
// start time that tell it from a later process with the same pid.
//
// options.on_destroy does not matter. Throws Error: as Process, naming the step that failed in
// either process; for die_with_parent, pipes to it and a controlling terminal, which it cannot
// have.
ProcessId spawn_detached(const std::vector<std::string>& argv, const ChildOptions& options = {});
ProcessId fork_detached(const std::function<int()>& body, const ChildOptions& options = {});

}  // namespace procpool::proc
