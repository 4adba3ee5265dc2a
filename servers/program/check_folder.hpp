// Whether a folder of the configuration can be used by those who will.
//
//   check_folder(options.root, "root", credentials, origins);
#pragma once

#include <optional>
#include <string>

#include "proc/credentials.hpp"
#include "servers/program/setting.hpp"

namespace procpool::program {

// Throws OptionsError, see refuse(): it is no folder in which this user (nullopt: this process's)
// may look for files; for another user a child tries that. Throws Error: it may not become this
// user. `prefix` is of the key in the origins.
void check_folder(const std::string& folder, const std::string& key,
                  const std::optional<proc::Credentials>& user, const Origins& origins,
                  const std::string& prefix = {});

// Whom the options `user` and `group` name; empty: nobody, as started. Throws OptionsError: there
// is none, or a group alone. May block (NSS).
std::optional<proc::Credentials> check_user(const std::string& user, const std::string& group,
                                            const Origins& origins);

// The same, when it was checked. Throws Error.
std::optional<proc::Credentials> credentials_of(const std::string& user, const std::string& group);

}  // namespace procpool::program
