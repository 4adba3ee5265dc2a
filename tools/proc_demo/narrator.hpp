// Tells what the processes of a scenario do, in the order of time, with what it proves.
//
//   return narrate(zombie_scenario, {.stepping = Stepping::yes, .svg_file = "zombie.svg"});
#pragma once

#include <string>

#include "tools/proc_demo/event.hpp"
#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {

struct Telling {
  Stepping stepping = Stepping::no;  // waits for a line of standard input after each event
  std::string svg_file{};            // empty: none
  std::string json_file{};
};

// Plays the scenario in processes of its own, of which none is left. Returns the program's exit
// code: 0 if all was as expected; 128 + number if a signal ended it. Throws Error.
int narrate(const Scenario& scenario, const Telling& telling);

// The same for what was recorded: nothing runs.
int replay(const Recording& recording, const Telling& telling);

}  // namespace procpool::proc_demo
