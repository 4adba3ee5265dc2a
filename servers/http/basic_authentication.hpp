// Who may see it: the Basic scheme of RFC 7617, with the hashes of crypt(5).
//
//   const Users users = read_users("/etc/httpd.users");       // lines of name:hash
//   Guard guard{users, "the archive"};
//   if (!guard.admits(request)) answer(401, guard.challenge());
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "servers/http/request.hpp"

namespace procpool::http {

// Names and hashes of passwords.
using Users = std::map<std::string, std::string, std::less<>>;

// Reads lines of `name:hash`; empty ones, and those that begin with '#', are skipped. Throws Error
// that names the line: no ':', an empty name, a name twice, a hash that crypt(3) does not know.
Users parse_users(std::string_view text, const std::string& origin);
Users read_users(const std::string& path);  // a regular file

// Name and password out of the value of Authorization; nullopt: another scheme, or broken.
struct BasicCredentials {
  std::string name;
  std::string password;
};
std::optional<BasicCredentials> parse_basic_credentials(std::string_view value);

// Judges requests. A hash is slow by intent (milliseconds), so what was found good is remembered;
// an unknown name takes as long as a wrong password. Of one thread.
class Guard {
 public:
  static constexpr std::size_t kMostRemembered = 1024;

  Guard(Users users, std::string_view realm);

  bool admits(const Request& request);
  const std::string& challenge() const noexcept { return challenge_; }  // WWW-Authenticate, a line

 private:
  Users users_;
  std::string challenge_;
  std::unordered_set<std::string> good_;  // values of Authorization
};

}  // namespace procpool::http
