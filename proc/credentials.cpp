#include "proc/credentials.hpp"

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <charconv>
#include <string_view>

#include "ipc/base/error.hpp"

namespace procpool::proc {
namespace {

template <typename Id>
std::optional<Id> number_in(std::string_view text) {
  Id id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return id;
}

// Calls one of getpwnam_r(3)'s family with a buffer that grows until it is enough. False: no entry.
template <typename Entry, typename Call>
bool look_up(Entry& entry, std::vector<char>& buffer, const std::string& name, Call call) {
  buffer.resize(1024);
  for (;;) {
    Entry* found = nullptr;
    const int error = call(&entry, buffer.data(), buffer.size(), &found);
    if (error == ERANGE) {
      buffer.resize(buffer.size() * 2);
    } else if (error == EINTR) {
      continue;
    } else if (found != nullptr) {
      return true;
    } else if (error == 0 || error == ENOENT || error == ESRCH) {
      return false;
    } else {
      throw_errno("look up", name, error);
    }
  }
}

gid_t group_of(const std::string& name) {
  group entry;
  std::vector<char> buffer;
  const bool found =
      look_up(entry, buffer, name, [&](auto... to) { return ::getgrnam_r(name.c_str(), to...); });
  if (found) return entry.gr_gid;
  if (const auto gid = number_in<gid_t>(name)) return *gid;
  throw Error{"group", name, "no such group"};
}

std::vector<gid_t> groups_of(const char* user, gid_t primary) {
  int count = 64;
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  while (::getgrouplist(user, primary, groups.data(), &count) < 0) {
    groups.resize(static_cast<std::size_t>(count));
  }
  groups.resize(static_cast<std::size_t>(count));
  return groups;
}

}  // namespace

Credentials Credentials::of(const std::string& user, const std::optional<std::string>& group) {
  const auto number = number_in<uid_t>(user);
  passwd entry;
  std::vector<char> buffer;
  const bool found =
      look_up(entry, buffer, user, [&](auto... to) { return ::getpwnam_r(user.c_str(), to...); }) ||
      (number &&
       look_up(entry, buffer, user, [&](auto... to) { return ::getpwuid_r(*number, to...); }));
  if (found) {
    const gid_t gid = group ? group_of(*group) : entry.pw_gid;
    return {.user = user, .uid = entry.pw_uid, .gid = gid, .groups = groups_of(entry.pw_name, gid)};
  }
  if (number && group) return {.user = user, .uid = *number, .gid = group_of(*group), .groups = {}};
  throw Error{"user", user, number ? "no such user, and no group is given" : "no such user"};
}

void Credentials::assume() const {
  int death_signal = 0;
  ::prctl(PR_GET_PDEATHSIG, &death_signal);
  const pid_t parent = ::getppid();
  if (::setgroups(groups.size(), groups.data()) != 0) throw_errno("setgroups", user);
  if (::setresgid(gid, gid, gid) != 0) throw_errno("setresgid", user);
  if (::setresuid(uid, uid, uid) != 0) throw_errno("setresuid", user);
  if (death_signal == 0) return;
  ::prctl(PR_SET_PDEATHSIG, death_signal);
  // Had it died meanwhile, no signal would come.
  if (::getppid() != parent) ::kill(::getpid(), death_signal);
}

}  // namespace procpool::proc
