// What the tools write to their standard output, in colour where somebody looks.
//
//   const bool colours = wants_colours();
//   print(text(colours ? colour_of(order) : "", "reader waits", colours ? kPlain : "", "\n"));
#pragma once

#include <cstddef>
#include <string_view>

namespace procpool::demo {

inline constexpr std::string_view kPlain = "\x1b[0m";

// Standard output is a terminal, and NO_COLOR is not set.
bool wants_colours();

// The colour of the process that came in this order; they repeat.
std::string_view colour_of(std::size_t order);

// All of it, to standard output. Throws Error.
void print(std::string_view words);

}  // namespace procpool::demo
