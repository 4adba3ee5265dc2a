// Who somebody is who gives a name and a password.
//
//   const std::optional<Guest> guest = find_guest(settings, "ada");
//   if (is_let_in(guest, password)) show(guest->user.home);
#pragma once

#include <optional>
#include <string>

#include "proc/credentials.hpp"
#include "servers/ftp/settings.hpp"
#include "servers/ftp/users.hpp"

namespace procpool::ftp {

struct Guest {
  std::string name;  // "anonymous", whichever of his names he used
  bool anonymous = false;
  User user;                                  // without a hash, if he is not of the file of users
  std::optional<proc::Credentials> run_as{};  // of the system: who works with rights of his own
};

// Anonymous, if he may come; who is in the file of users; and then, if they may come, who is in the
// system: find_system_user(). Throws Error.
std::optional<Guest> find_guest(const Settings& settings, const std::string& name);

// Takes milliseconds, by intent of the hash, also for nobody, so that nobody learns who is known.
// For a user of the system in a process that ends soon: password_hash_of().
bool is_let_in(const std::optional<Guest>& guest, const std::string& password);

}  // namespace procpool::ftp
