// What lies in shared memory by name, who has it, and the removal of what is dead.
//
//   return list_segments();                       // the exit code
//   return remove_segments({"/jobs"});
#pragma once

#include <string>
#include <vector>

namespace procpool::demo {

// Prints a line for each named segment of procpool. Throws Error.
int list_segments();

// Removes segments that nobody uses: those named, or all. Says of each what became of it. 1: one is
// in use, or there is none of the name. Throws Error.
int remove_segments(const std::vector<std::string>& names);
int remove_dead_segments();

}  // namespace procpool::demo
