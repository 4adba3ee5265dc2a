// Users of the system, as far as they may log in: passwd(5), shadow(5), shells(5), ftpusers(5).
//
//   const std::optional<SystemUser> ada = find_system_user("ada");
//   if (ada && models::is_password(given, password_hash_of("ada"))) {
//     ada->credentials.assume();                         // and see ada->home
//   }
#pragma once

#include <shadow.h>

#include <optional>
#include <string>
#include <string_view>

#include "proc/credentials.hpp"

namespace procpool::ftp {

struct SystemUser {
  proc::Credentials credentials;
  std::string home;
};

// Those below, root among them, belong to the system itself.
inline constexpr uid_t kFirstUser = 1000;

// Nullopt: there is none of this name, or it is one who may not: with a number below kFirstUser, a
// shell that is not in /etc/shells, a home that is no absolute path, or named in /etc/ftpusers.
// Asks getpwnam(3) and its kin, which may block (NSS). Throws Error.
std::optional<SystemUser> find_system_user(const std::string& name);

// Nullopt: the account or its password has expired, or it has none by which one could log in. Needs
// root. Asks getspnam(3): what the C library has read stays in the memory of who asks, so that this
// should be a process that ends soon.
std::optional<std::string> password_hash_of(const std::string& system_user);

// On a day, counted from 1970: shadow(5).
bool has_expired(const spwd& account, long today) noexcept;

// A line for each name; what begins with '#' is a remark: ftpusers(5).
bool is_named_in(std::string_view ftpusers, std::string_view name) noexcept;

}  // namespace procpool::ftp
