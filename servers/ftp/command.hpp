// What a client says: lines, RFC 959 §5.3 and RFC 1123 §4.1.
//
//   CommandReader reader;
//   reader.feed(bytes);                              // as they come
//   while (auto line = reader.next()) execute(parse_command(*line));
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace procpool::ftp {

// A value. `verb` is in upper case, empty for a line without one; `argument` is what follows the
// one space behind it, unchanged: a file may be called " x".
struct Command {
  std::string verb;
  std::string argument;
};
Command parse_command(std::string_view line);

// Cuts the stream of the control connection into lines, and takes the Telnet commands out of it,
// RFC 854: IAC IAC is one byte 0xFF; the others, as those before ABOR, mean nothing here. A line
// ends with LF; a CR before it belongs to the end; CR NUL is a CR in a name, RFC 2640 §3.1. Knows
// nothing of sockets.
class CommandReader {
 public:
  static constexpr std::size_t kMostBytes = 4096;  // of a line

  void feed(std::string_view bytes);

  // The next line, without its end. Nullopt: it has not come whole.
  std::optional<std::string> next();

  // A line is too long. Nothing that follows is a line any more: whatever it is, it was meant to be
  // its tail.
  bool overflowed() const noexcept { return overflowed_; }

 private:
  enum class Telnet { text, command, option };

  Telnet telnet_ = Telnet::text;
  std::string text_;  // without Telnet commands
  std::size_t seen_ = 0;
  bool overflowed_ = false;
};

}  // namespace procpool::ftp
