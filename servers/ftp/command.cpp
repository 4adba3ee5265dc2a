#include "servers/ftp/command.hpp"

namespace procpool::ftp {
namespace {

// RFC 854
constexpr auto kIac = '\xff';
constexpr auto kWill = '\xfb';  // to DONT, 0xfe: an option follows

char upper(char c) noexcept {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

void join_cr_nul(std::string& line) {
  for (auto at = line.find(std::string_view{"\r\0", 2}); at != line.npos;
       at = line.find(std::string_view{"\r\0", 2}, at + 1)) {
    line.erase(at + 1, 1);
  }
}

}  // namespace

Command parse_command(std::string_view line) {
  const auto space = line.find(' ');
  Command command;
  for (const char c : line.substr(0, space)) command.verb.push_back(upper(c));
  if (space != line.npos) command.argument = line.substr(space + 1);
  return command;
}

void CommandReader::feed(std::string_view bytes) {
  for (const char byte : bytes) {
    switch (telnet_) {
      case Telnet::text:
        if (byte == kIac) {
          telnet_ = Telnet::command;
        } else {
          text_.push_back(byte);
        }
        break;
      case Telnet::command:
        telnet_ = byte >= kWill && byte < kIac ? Telnet::option : Telnet::text;
        if (byte == kIac) text_.push_back(byte);
        break;
      case Telnet::option:
        telnet_ = Telnet::text;
        break;
    }
  }
}

std::optional<std::string> CommandReader::next() {
  if (overflowed_) return std::nullopt;
  const auto end = text_.find('\n', seen_);
  if (end == text_.npos || end > kMostBytes) {
    seen_ = text_.size();
    overflowed_ = end != text_.npos || text_.size() > kMostBytes;
    return std::nullopt;
  }
  std::string line = text_.substr(0, end);
  text_.erase(0, end + 1);
  seen_ = 0;
  if (line.ends_with('\r')) line.pop_back();
  join_cr_nul(line);
  return line;
}

}  // namespace procpool::ftp
