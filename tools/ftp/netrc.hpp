// Names and passwords that somebody keeps in a file: netrc(5).
//
//   if (auto login = find_login(read_netrc(path), "host", std::nullopt)) use(login->password);
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace procpool::ftp_client {

struct NetrcLogin {
  std::string user{};
  std::optional<std::string> password{};
  std::optional<std::string> account{};
};

// The entry of this machine, or `default`, and of this user if one is named. Words may be in double
// quotes, with backslashes in them. Macros are passed over. Throws Failure (usage) naming the line
// that makes no sense.
std::optional<NetrcLogin> find_login(std::string_view netrc, std::string_view host,
                                     const std::optional<std::string>& user);

// A file that others may read keeps no secret: it throws Failure, as it does for one that cannot be
// read. Nullopt: there is none of this name.
std::optional<std::string> read_netrc(const std::string& path);

}  // namespace procpool::ftp_client
