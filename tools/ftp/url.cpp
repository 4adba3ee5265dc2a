#include "tools/ftp/url.hpp"

#include <array>

#include "tools/ftp/failure.hpp"
#include "tools/ftp/names.hpp"
#include "tools/ftp/reply.hpp"

namespace procpool::ftp_client {
namespace {

// Nothing is shown of a URL that is wrong: it may hold a password.
[[noreturn]] void refuse(std::string_view reason) {
  throw Failure{ExitCode::usage, "read URL", {}, reason};
}

int hexadecimal(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::string decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? hexadecimal(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hexadecimal(text[i + 2]) : -1;
    if (high < 0 || low < 0) refuse("two hexadecimal digits follow a %");
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  if (!fits_a_line(out)) refuse("no name has a line's end or a zero byte in it");
  return out;
}

void read_user(std::string_view text, Url& url) {
  const auto colon = text.find(':');
  url.user = decoded(text.substr(0, colon));
  if (colon != text.npos) url.password = decoded(text.substr(colon + 1));
}

void read_port(std::string_view digits, Url& url) {
  const auto port = parse_number(digits);
  if (!port || *port == 0 || *port > 65535) refuse("its port is a number from 1 to 65535");
  url.port = std::to_string(*port);
}

void read_host(std::string_view text, Url& url) {
  std::size_t after = text.find(':');
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == text.npos) refuse("the ] after an IPv6 address is missing");
    url.host = text.substr(1, end - 1);
    after = end + 1 < text.size() ? end + 1 : text.npos;
    if (after != text.npos && text[after] != ':') refuse("a port follows the ] of an address");
  } else {
    url.host = decoded(text.substr(0, after));
  }
  if (url.host.empty()) refuse("it names no host");
  if (after != text.npos) read_port(text.substr(after + 1), url);
}

std::string_view without_type(std::string_view path, Url& url) {
  constexpr std::string_view kType = ";type=";
  const auto at = path.rfind(kType);
  if (at == path.npos) return path;
  const std::string_view type = path.substr(at + kType.size());
  if (type != "a" && type != "i" && type != "A" && type != "I") refuse(";type= is a or i");
  url.text = type == "a" || type == "A";
  return path.substr(0, at);
}

void append_encoded(std::string& out, std::string_view text) {
  constexpr std::string_view kPlain = "-._~/!$&'()*+,=";
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool alphanumeric =
        (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z' && byte < 0x80);
    if (alphanumeric || kPlain.find(c) != kPlain.npos) {
      out.push_back(c);
    } else {
      out.append({'%', kDigits[byte / 16], kDigits[byte % 16]});
    }
  }
}

}  // namespace

Url parse_url(std::string_view text) {
  const auto scheme = text.find("://");
  if (scheme != text.npos && text.find_first_of("/@[") > scheme) {
    if (text.substr(0, scheme) != "ftp") refuse("only ftp:// is spoken here");
    text.remove_prefix(scheme + 3);
  }
  Url url;
  const auto slash = text.find('/');
  std::string_view place = text.substr(0, slash);
  if (const auto at = place.rfind('@'); at != place.npos) {
    read_user(place.substr(0, at), url);
    place.remove_prefix(at + 1);
  }
  read_host(place, url);
  if (slash != text.npos) url.path = decoded(without_type(text.substr(slash + 1), url));
  return url;
}

std::string shown(const Url& url) {
  std::string text = "ftp://";
  if (url.user) {
    append_encoded(text, *url.user);
    text.push_back('@');
  }
  const bool v6 = url.host.find(':') != url.host.npos;
  text.append(v6 ? "[" : "").append(url.host).append(v6 ? "]" : "");
  if (url.port != "21") text.append(":").append(url.port);
  text.push_back('/');
  append_encoded(text, url.path);
  return text;
}

}  // namespace procpool::ftp_client
