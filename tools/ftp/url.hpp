// Where something is: RFC 1738 §3.2.
//
//   Url url = parse_url("ftp://ada:s%40x@host:2121/a%20b;type=i");
//   url.path;                                            // "a b", from where a login begins
//   parse_url("ada@host/a").user;                        // "ada": ftp:// may be left out
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace procpool::ftp_client {

struct Url {
  std::string host;
  std::string port = "21";
  std::optional<std::string> user{};
  std::optional<std::string> password{};
  std::string path{};  // decoded; without a leading slash from where a login begins (//a: the root)
  bool text = false;   // ;type=a
};

// Throws Failure (usage): another scheme, no host, a port that is none, a broken escape, or one
// that would end a command's line.
Url parse_url(std::string_view text);

// "ftp://ada@host:2121/a%20b", without the password.
std::string shown(const Url& url);

}  // namespace procpool::ftp_client
