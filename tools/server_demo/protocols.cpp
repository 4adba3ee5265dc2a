#include "tools/server_demo/protocols.hpp"

#include <algorithm>
#include <string>

namespace procpool::server_demo {
namespace {

using models::ByteHandler;
using models::Then;

constexpr std::size_t kLongest = std::size_t{64} << 10;

char upper(char c) noexcept {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

std::string in_upper_case(std::string_view text) {
  std::string shouted{text};
  std::ranges::transform(shouted, shouted.begin(), upper);
  return shouted;
}

ByteHandler echo() {
  return [](std::string_view in, std::string& out) {
    out += in;
    return Then::go_on;
  };
}

// What arrives in pieces, given out in parts that end so; the rest waits for more.
class Parts {
 public:
  explicit Parts(std::string_view end) : end_{end} {}

  void add(std::string_view piece) { rest_ += piece; }
  std::optional<std::string> next() {
    const std::size_t end = rest_.find(end_);
    if (end == std::string::npos) return std::nullopt;
    std::string part = rest_.substr(0, end + end_.size());
    rest_.erase(0, part.size());
    return part;
  }
  const std::string& rest() const noexcept { return rest_; }

 private:
  std::string_view end_;
  std::string rest_;
};

ByteHandler lines() {
  return [parts = Parts{"\n"}](std::string_view in, std::string& out) mutable {
    parts.add(in);
    while (const auto line = parts.next()) out += in_upper_case(*line);
    if (in.empty()) out += in_upper_case(parts.rest());
    return parts.rest().size() > kLongest ? Then::close : Then::go_on;
  };
}

constexpr std::string_view kHello =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n";
constexpr std::string_view kRefusal =
    "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\nContent-Length: 0\r\n"
    "Connection: close\r\n\r\n";

bool is_last(const std::string& head) {
  const std::string known = in_upper_case(head);
  return known.find("\r\nCONNECTION: CLOSE\r\n") != std::string::npos ||
         known.substr(0, known.find('\r')).ends_with(" HTTP/1.0");
}

// Only what has no body is understood: so where a request ends is known.
ByteHandler http() {
  return [heads = Parts{"\r\n\r\n"}](std::string_view in, std::string& out) mutable {
    heads.add(in);
    while (const auto head = heads.next()) {
      const bool understood = head->starts_with("GET ");
      out += understood ? kHello : kRefusal;
      if (!understood || is_last(*head)) return Then::close;
    }
    return heads.rest().size() > kLongest ? Then::close : Then::go_on;
  };
}

}  // namespace

std::optional<Protocol> protocol_named(std::string_view name) noexcept {
  const auto* const found = std::ranges::find(kProtocols, name, name_of);
  return found == kProtocols.end() ? std::nullopt : std::optional{*found};
}

models::MakeByteHandler bytes_of(Protocol protocol) {
  switch (protocol) {
    case Protocol::echo:
      return echo;
    case Protocol::http:
      return http;
    case Protocol::lines:
      return lines;
  }
  return {};
}

std::optional<std::string> echo_datagram(std::string_view in, const net::Address&) {
  return std::string{in};
}

}  // namespace procpool::server_demo
