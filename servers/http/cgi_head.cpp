#include "servers/http/cgi_head.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <set>

#include "ipc/base/error.hpp"
#include "servers/http/detail/grammar.hpp"
#include "servers/http/request.hpp"

namespace procpool::http {
namespace {

constexpr std::string_view kOfTheServer[] = {
    "connection", "date", "keep-alive", "server", "trailer", "transfer-encoding", "upgrade"};

[[noreturn]] void refuse(std::string_view line, std::string_view reason) {
  constexpr std::size_t kMostShown = 80;
  throw Error{"understand", line.substr(0, kMostShown), reason};
}

// Of digits alone.
template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (text.empty() || !is_digit(text.front()) || parsed.ec != std::errc{} || parsed.ptr != end)
    return std::nullopt;
  return number;
}

Status parse_status(std::string_view value) {
  constexpr int kLeast = 200;
  constexpr int kMost = 599;
  const auto code = parse_number<int>(value.substr(0, value.find(' ')));
  if (!code || *code < kLeast || *code > kMost) refuse(value, "is no final status");
  return static_cast<Status>(*code);
}

class HeadReader {
 public:
  void add(std::string_view line) {
    const auto colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    if (line.starts_with("HTTP/")) refuse(line, "is a status line (NPH is not supported)");
    if (colon == line.npos || name.empty() || !consists_of(name, kToken))
      refuse(line, "is no field");
    const std::string_view value = trim(line.substr(colon + 1));
    if (std::any_of(value.begin(), value.end(), [](char c) { return is_control(c) && c != '\t'; }))
      refuse(line, "has control characters");
    if (is_once(name) && !seen_.insert(lower(name)).second) refuse(line, "comes twice");
    take(name, value);
  }

  CgiHead finish() && {
    if (!has_type_ && location_.empty() && !status_)
      refuse({}, "it has neither Content-Type nor Location nor Status");
    head_.status = status_.value_or(location_.empty() ? Status::ok : Status::found);
    if (location_.starts_with('/') && !status_) {
      head_.elsewhere = std::move(location_);
    } else if (!location_.empty()) {
      head_.fields.append("Location: ").append(location_).append("\r\n");
    }
    return std::move(head_);
  }

 private:
  static bool is(std::string_view name, std::string_view other) noexcept {
    return equals_ignoring_case(name, other);
  }
  static bool is_once(std::string_view name) noexcept {
    return is(name, "status") || is(name, "location") || is(name, "content-type") ||
           is(name, "content-length");
  }
  static std::string lower(std::string_view name) {
    std::string result;
    std::transform(name.begin(), name.end(), std::back_inserter(result), to_lower);
    return result;
  }

  void take(std::string_view name, std::string_view value) {
    if (is(name, "status")) {
      status_ = parse_status(value);
    } else if (is(name, "location")) {
      if (value.empty()) refuse(name, "is empty");
      location_ = value;
    } else if (is(name, "content-length")) {
      head_.content_length = parse_number<std::uint64_t>(value);
      if (!head_.content_length) refuse(value, "is no length");
    } else if (std::none_of(std::begin(kOfTheServer), std::end(kOfTheServer),
                            [&](std::string_view ours) { return is(name, ours); })) {
      has_type_ = has_type_ || is(name, "content-type");
      head_.fields.append(name).append(": ").append(value).append("\r\n");
    }
  }

  CgiHead head_;
  std::optional<Status> status_;
  std::string location_;
  bool has_type_ = false;
  std::set<std::string> seen_;
};

// Without its LF or CRLF.
std::string_view take_line(std::string_view& text) {
  std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(line.size() + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

std::optional<std::size_t> cgi_head_size(std::string_view output) noexcept {
  std::size_t begin = 0;
  for (;;) {
    const auto end = output.find('\n', begin);
    if (end == output.npos) return std::nullopt;
    const std::string_view line = output.substr(begin, end - begin);
    begin = end + 1;
    if (line.empty() || line == "\r") return begin;
  }
}

CgiHead parse_cgi_head(std::string_view head) {
  HeadReader reader;
  for (std::string_view line = take_line(head); !line.empty(); line = take_line(head))
    reader.add(line);
  return std::move(reader).finish();
}

}  // namespace procpool::http
