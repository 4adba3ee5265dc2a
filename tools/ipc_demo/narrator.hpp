// Tells what happens on a stage, line by line, and judges it.
//
//   return narrate(pipe_scenario, Act::kill);      // the exit code
#pragma once

#include "tools/ipc_demo/scenario.hpp"

namespace procpool::demo {

enum class Act { play, kill };

// Runs a scenario in processes of its own and writes to standard output what they say, in the order
// of time. 0: everything proved; 1: something was not, or a process failed. On SIGINT, SIGTERM and
// SIGHUP it ends all of them and returns 128 + the signal's number. Throws Error, when nobody
// reads. Removes what has a name in any case. One colour a process on a terminal, unless NO_COLOR
// is set (no-color.org).
int narrate(const Scenario& scenario, Act act);

}  // namespace procpool::demo
