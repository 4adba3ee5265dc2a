// However the bytes of a control connection are cut, the same lines come of them; none has an end
// of line in it, none is longer than it may be, and nothing comes after one that was.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "servers/ftp/command.hpp"
#include "servers/ftp/reply.hpp"
#include "tests/fuzz/check.hpp"

namespace procpool::ftp {
namespace {

struct Lines {
  std::vector<std::string> lines;
  bool overflowed = false;

  friend bool operator==(const Lines&, const Lines&) = default;
};

Lines read(std::string_view bytes, std::size_t piece) {
  CommandReader reader;
  Lines all;
  while (!bytes.empty()) {
    const std::size_t length = std::min(piece, bytes.size());
    reader.feed(bytes.substr(0, length));
    bytes.remove_prefix(length);
    while (const auto line = reader.next()) all.lines.push_back(*line);
  }
  all.overflowed = reader.overflowed();
  return all;
}

}  // namespace

using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  const Lines whole = read(bytes, bytes.size());
  check(read(bytes, 1) == whole, "lines do not depend on how they were sent, byte by byte");
  check(read(bytes, 7) == whole, "lines do not depend on how they were sent");

  for (const std::string& line : whole.lines) {
    check(line.size() <= CommandReader::kMostBytes, "a line is no longer than it may be");
    check(line.find('\n') == line.npos, "a line is one line");
    const Command command = parse_command(line);
    check(command.verb.find(' ') == command.verb.npos, "a verb is one word");
    check(std::ranges::none_of(command.verb, [](char c) { return c >= 'a' && c <= 'z'; }),
          "a verb is in upper case");
    check(command.verb.size() + command.argument.size() <= line.size(), "nothing is added");
    const std::string answer = reply(550, command.argument);
    check(answer.find_first_of("\r\n") == answer.size() - 2, "an answer is one line");
  }
  return 0;
}

}  // namespace procpool::ftp
