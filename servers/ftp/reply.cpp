#include "servers/ftp/reply.hpp"

#include <cerrno>

namespace procpool::ftp {
namespace {

void append_line(std::string& out, std::string_view text) {
  for (const char c : text)
    out.push_back(static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? '?' : c);
  out.append("\r\n");
}

}  // namespace

std::string reply(int code, std::string_view text) {
  std::string out = std::to_string(code) + " ";
  append_line(out, text);
  return out;
}

std::string reply(int code, std::string_view first, const std::vector<std::string>& between,
                  std::string_view last) {
  std::string out = std::to_string(code) + "-";
  append_line(out, first);
  for (const std::string& line : between) {
    if (!line.empty() && line.front() >= '0' && line.front() <= '9') out.push_back(' ');
    append_line(out, line);
  }
  return out + reply(code, last);
}

std::string quoted_path(std::string_view path) {
  std::string out = "\"";
  for (const char c : path) out.append(c == '"' ? 2 : 1, c);
  return out + '"';
}

int code_of_errno(int error) noexcept {
  switch (error) {
    case ENOSPC:
      return 452;
    case EDQUOT:
      return 552;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EIO:
      return 451;
    default:
      return 550;
  }
}

}  // namespace procpool::ftp
