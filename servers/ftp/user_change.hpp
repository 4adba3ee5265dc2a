// What is done to a file of users: `procpool-ftpd user`.
//
//   change_users({.kind = UserChange::Kind::add, .file = "users", .name = "ada", .home =
//   "/srv/ada"});
#pragma once

#include <string>

namespace procpool::ftp {

struct UserChange {
  enum class Kind { add, remove, passwd, list };

  Kind kind = Kind::list;
  std::string file;
  std::string name;  // but for list
  std::string home;  // for add: a folder, not yet absolute
  bool may_write = false;
  std::string rate;   // bytes per second, as 500K; empty: no limit
  std::string quota;  // bytes; the same
};

// Does it, with the file locked against others who do the same, and replaced as a whole. The
// password is a line of standard input; on a terminal it is asked for twice, and not shown. What
// there is to say goes to standard output. Throws program::OptionsError: the name is there already,
// or is not there; a home, a rate or a quota that cannot be; Error: no password, or the file cannot
// be read or written.
void change_users(const UserChange& change);

}  // namespace procpool::ftp
