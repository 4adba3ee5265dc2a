// Who may log in: a file of virtual users.
//
//   const Users users = read_users("/etc/ftpd.users");
//   users.at("ada").home;
//   write_users("/etc/ftpd.users", users);
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace procpool::ftp {

struct User {
  std::string hash;  // of the password: models::hash_password
  std::string home;  // an absolute path: the root of what he sees
  bool may_write = false;
  std::uint64_t rate = 0;   // bytes per second, of each transfer; 0: as fast as it goes
  std::uint64_t quota = 0;  // bytes that he may keep in his home; 0: as many as there is room for
};
using Users = std::map<std::string, User, std::less<>>;

// Lines of name:hash:home:rights:rate:quota, where rights are "r" or "rw", and rate and quota may
// be empty; empty lines, and those that begin with '#', are skipped. Throws Error that names the
// line and what is wrong with it.
Users parse_users(std::string_view text, const std::string& origin);
Users read_users(const std::string& path);  // a regular file

// Replaces the file as a whole, with the mode 0600 if it is new. Throws Error: the old one is
// untouched; a name or a home that has a colon, a line's end or nothing in it.
void write_users(const std::string& path, const Users& users);

}  // namespace procpool::ftp
