// What must hold for every input of a fuzz target.
//
//   check(path.find('\0') == path.npos, "no NUL in a path");
#pragma once

#include <cstdio>
#include <cstdlib>

namespace procpool::fuzz {

// Ends the process with SIGABRT, which both libFuzzer and our driver report together with the
// input.
inline void check(bool holds, const char* property) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", property);
  std::abort();
}

}  // namespace procpool::fuzz
