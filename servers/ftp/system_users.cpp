#include "servers/ftp/system_users.hpp"

#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/models/password.hpp"

namespace procpool::ftp {
namespace {

constexpr auto kDenied = "/etc/ftpusers";

// passwd(5): who has none has this one.
constexpr auto kDefaultShell = "/bin/sh";

bool is_valid_shell(std::string_view shell) {
  bool found = false;
  ::setusershell();
  for (const char* valid = ::getusershell(); valid != nullptr && !found; valid = ::getusershell())
    found = shell == valid;
  ::endusershell();
  return found;
}

bool is_denied(std::string_view name) {
  try {
    return is_named_in(read_file(kDenied), name);
  } catch (const Error& error) {
    if (error.code().value() == ENOENT) return false;
    throw;
  }
}

long today() {
  using Days = std::chrono::duration<long, std::ratio<86'400>>;
  return std::chrono::floor<Days>(std::chrono::system_clock::now()).time_since_epoch().count();
}

}  // namespace

bool is_named_in(std::string_view ftpusers, std::string_view name) noexcept {
  constexpr std::string_view kBlank = " \t\r";
  while (!ftpusers.empty()) {
    const auto end = ftpusers.find('\n');
    std::string_view line = ftpusers.substr(0, end);
    ftpusers.remove_prefix(end == ftpusers.npos ? ftpusers.size() : end + 1);
    line = line.substr(0, line.find('#'));
    const auto first = line.find_first_not_of(kBlank);
    if (first == line.npos) continue;
    if (line.substr(first, line.find_last_not_of(kBlank) - first + 1) == name) return true;
  }
  return false;
}

bool has_expired(const spwd& account, long today) noexcept {
  if (account.sp_expire >= 0 && today >= account.sp_expire) return true;
  if (account.sp_lstchg == 0) return true;  // it is to be changed first, and here it cannot be
  return account.sp_lstchg > 0 && account.sp_max >= 0 && today - account.sp_lstchg > account.sp_max;
}

std::optional<SystemUser> find_system_user(const std::string& name) {
  const passwd* const entry = ::getpwnam(name.c_str());
  if (entry == nullptr || entry->pw_uid < kFirstUser || entry->pw_dir[0] != '/')
    return std::nullopt;
  const std::string its_name = entry->pw_name;
  const std::string home = entry->pw_dir;
  const std::string shell = entry->pw_shell[0] != '\0' ? entry->pw_shell : kDefaultShell;
  if (!is_valid_shell(shell) || is_denied(its_name)) return std::nullopt;
  return SystemUser{.credentials = proc::Credentials::of(its_name), .home = home};
}

std::optional<std::string> password_hash_of(const std::string& system_user) {
  const passwd* const entry = ::getpwnam(system_user.c_str());
  if (entry == nullptr) return std::nullopt;
  std::string hash = entry->pw_passwd;
  if (const spwd* const secret = ::getspnam(system_user.c_str()); secret != nullptr) {
    if (has_expired(*secret, today())) return std::nullopt;
    hash = secret->sp_pwdp;
  }
  return models::is_password_hash(hash) ? std::optional{hash} : std::nullopt;
}

}  // namespace procpool::ftp
