#include "servers/http/target.hpp"

#include <algorithm>

#include "servers/http/detail/grammar.hpp"

namespace procpool::http {
namespace {

// The byte that an escape (RFC 3986 §2.1) at the begin of `text` stands for; NUL when it is none.
char unescape(std::string_view text) noexcept {
  if (text.size() < 3) return '\0';
  const int high = hex_value(text[1]);
  const int low = hex_value(text[2]);
  return high < 0 || low < 0 ? '\0' : static_cast<char>(high << 4 | low);
}

// Takes the first byte of `text`, which is not empty, or what its escape stands for; NUL when it is
// none.
char take_byte(std::string_view& text) noexcept {
  const bool escaped = text.front() == '%';
  const char byte = escaped ? unescape(text) : text.front();
  if (byte != '\0') text.remove_prefix(escaped ? 3 : 1);
  return byte;
}

// Appends what `segment` stands for.
Status decode(std::string_view segment, std::string& out) {
  while (!segment.empty()) {
    const char byte = take_byte(segment);
    if (byte == '\0') return Status::bad_request;
    if (byte == '/') return Status::not_found;
    out.push_back(byte);
  }
  return Status::ok;
}

// Takes the last segment, and the '/' before it, off what follows `begin`.
void drop_last_segment(std::string& out, std::size_t begin) {
  const auto slash = out.rfind('/');
  out.resize(slash == out.npos || slash < begin ? begin : slash);
}

}  // namespace

ResolvedTarget resolve_target(std::string_view path, std::string& out) {
  const std::size_t begin = out.size();
  bool ends_with_slash = false;
  for (;;) {
    const auto slash = std::min(path.find('/'), path.size());
    const std::size_t before = out.size();
    if (before > begin) out.push_back('/');
    const std::size_t segment_begin = out.size();
    if (const Status status = decode(path.substr(0, slash), out); status != Status::ok) {
      return {.status = status};
    }
    const auto segment = std::string_view{out}.substr(segment_begin);
    ends_with_slash = segment.empty() || segment == "." || segment == "..";
    if (ends_with_slash) {
      const bool up = segment == "..";
      out.resize(before);
      if (up) drop_last_segment(out, begin);
    }
    if (slash == path.size()) break;
    path.remove_prefix(slash + 1);
  }
  if (out.size() == begin) out.push_back('.');
  return {.status = Status::ok, .ends_with_slash = ends_with_slash};
}

bool is_hidden(std::string_view path, bool dot_files) noexcept {
  constexpr std::string_view kWellKnown = ".well-known";
  if (path == ".") return false;
  if (dot_files) return path.starts_with(kUnfinished) || path.find("/.procpool-") != path.npos;
  if (path == kWellKnown || path.starts_with(".well-known/")) path.remove_prefix(kWellKnown.size());
  return path.starts_with('.') || path.find("/.") != path.npos;
}

void append_percent_encoded(std::string_view path, std::string& out) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (const char c : path) {
    if (c == '/' || contains(kUnreserved, c)) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
    }
  }
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const char byte = take_byte(text);
    if (byte == '\0') return std::nullopt;
    out.push_back(byte);
  }
  return out;
}

}  // namespace procpool::http
