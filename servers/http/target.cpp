#include "servers/http/target.hpp"

#include <algorithm>

#include "servers/http/detail/grammar.hpp"

namespace procpool::http {
namespace {

// RFC 3986 §2.1. Appends what `segment` stands for.
Status decode(std::string_view segment, std::string& out) {
  for (std::size_t i = 0; i < segment.size(); ++i) {
    if (segment[i] != '%') {
      out.push_back(segment[i]);
      continue;
    }
    if (segment.size() - i < 3) return Status::bad_request;
    const int high = hex_value(segment[i + 1]);
    const int low = hex_value(segment[i + 2]);
    if (high < 0 || low < 0) return Status::bad_request;
    const char decoded = static_cast<char>(high << 4 | low);
    if (decoded == '\0') return Status::bad_request;
    if (decoded == '/') return Status::not_found;
    out.push_back(decoded);
    i += 2;
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

}  // namespace procpool::http
