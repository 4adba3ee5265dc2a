#include "tools/terminal.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <array>

#include "ipc/base/io.hpp"

namespace procpool::demo {
namespace {

constexpr std::array<std::string_view, 7> kColours{"\x1b[2m",  "\x1b[36m", "\x1b[33m", "\x1b[35m",
                                                   "\x1b[32m", "\x1b[34m", "\x1b[31m"};

}  // namespace

bool wants_colours() {
  const char* refused = ::getenv("NO_COLOR");
  return ::isatty(STDOUT_FILENO) == 1 && (refused == nullptr || *refused == '\0');
}

std::string_view colour_of(std::size_t order) {
  return kColours[order % kColours.size()];
}

void print(std::string_view words) {
  write_full(STDOUT_FILENO, words, "standard output");
}

}  // namespace procpool::demo
