#include "servers/ftp/guest.hpp"

#include "servers/ftp/system_users.hpp"
#include "servers/models/password.hpp"

namespace procpool::ftp {
namespace {

std::optional<std::string> hash_of(const Guest& guest) {
  return guest.run_as ? password_hash_of(guest.name) : guest.user.hash;
}

}  // namespace

std::optional<Guest> find_guest(const Settings& settings, const std::string& name) {
  if (!settings.anonymous.empty() && (name == "anonymous" || name == "ftp")) {
    return Guest{
        .name = "anonymous", .anonymous = true, .user = {.hash = {}, .home = settings.anonymous}};
  }
  if (const auto found = settings.users.find(name); found != settings.users.end())
    return Guest{.name = name, .user = found->second};
  if (!settings.system_users) return std::nullopt;
  auto found = find_system_user(name);
  if (!found) return std::nullopt;
  return Guest{.name = found->credentials.user,
               .user = {.hash = {}, .home = found->home, .may_write = true},
               .run_as = found->credentials};
}

bool is_let_in(const std::optional<Guest>& guest, const std::string& password) {
  if (guest && guest->anonymous) return true;
  return models::is_password(password, guest ? hash_of(*guest) : std::nullopt);
}

}  // namespace procpool::ftp
