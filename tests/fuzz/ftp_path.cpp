// Paths, patterns and times as clients write them: a directory, a path, a pattern and a time, each
// on a line. No path leaves the root, no listing has a line too many, and patterns match as a slow
// matcher says.
#include <sys/stat.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "servers/ftp/listing.hpp"
#include "servers/ftp/path.hpp"
#include "servers/ftp/reply.hpp"
#include "tests/fuzz/check.hpp"

namespace procpool::ftp {
namespace {

std::array<std::string_view, 4> lines_of(std::string_view text) {
  std::array<std::string_view, 4> lines;
  for (std::string_view& line : lines) {
    const auto end = text.find('\n');
    line = text.substr(0, end);
    text = end == text.npos ? std::string_view{} : text.substr(end + 1);
  }
  return lines;
}

void check_absolute(std::string_view path) {
  fuzz::check(path.starts_with('/'), "a path is absolute");
  if (path == "/") return;
  const std::string framed = std::string{path} + "/";
  for (const std::string_view never : {"//", "/./", "/../"})
    fuzz::check(framed.find(never) == framed.npos, "no name is empty or made of dots");
}

}  // namespace

using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto [from, argument, pattern, time] =
      lines_of({reinterpret_cast<const char*>(data), size});

  const std::string directory = resolve("/", from);
  check_absolute(directory);
  const std::string path = resolve(directory, argument);
  check_absolute(path);
  check(resolve(directory, path) == path, "what is resolved stays");
  check(resolve(parent_of(path), name_of(path)) == path, "a path is its parent and its name");

  const bool matched = matches(pattern, argument);
  check(matches("*", argument), "a star is everything");
  if (!is_pattern(pattern)) check(matched == (pattern == argument), "a name matches itself alone");
  if (matched) check(matches("*" + std::string{pattern}, argument), "a star may be nothing");

  struct stat facts{};
  facts.st_mode = S_IFREG;
  const std::string line = list_line(argument, facts, 0, pattern);
  check(line.find_first_of("\r\n") == line.size() - 2, "an entry is one line");
  const std::string machine = reply(250, mlst_line(argument, facts, true, kAllFacts));
  check(machine.find_first_of("\r\n") == machine.size() - 2, "facts are one line");

  if (const auto when = parse_time(time)) {
    const std::string text = time_text(*when);
    check(time.starts_with(text), "a time is written as it was read");
  }
  return 0;
}

}  // namespace procpool::ftp
