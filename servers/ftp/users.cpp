#include "servers/ftp/users.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <optional>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"
#include "servers/models/password.hpp"

namespace procpool::ftp {
namespace {

constexpr std::size_t kFields = 6;

std::uint64_t number(std::string_view text, const std::string& where, std::string_view what) {
  std::uint64_t value = 0;
  if (text.empty()) return value;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size())
    throw Error{where, std::string{text}, "is no " + std::string{what}};
  return value;
}

std::optional<std::array<std::string_view, kFields>> fields_of(std::string_view line) {
  std::array<std::string_view, kFields> fields;
  for (std::size_t i = 0; i < kFields; ++i) {
    const auto colon = line.find(':');
    if ((colon == line.npos) != (i + 1 == kFields)) return std::nullopt;
    fields.at(i) = line.substr(0, colon);
    line.remove_prefix(colon == line.npos ? line.size() : colon + 1);
  }
  return fields;
}

User make_user(const std::array<std::string_view, kFields>& fields, const std::string& where) {
  const std::string name{fields[0]};
  User user{.hash = std::string{fields[1]}, .home = std::string{fields[2]}};
  if (!models::is_password_hash(user.hash))
    throw Error{where, name, "has a hash of no known method"};
  if (!user.home.starts_with('/')) throw Error{where, user.home, "must be an absolute path"};
  if (fields[3] != "r" && fields[3] != "rw")
    throw Error{where, std::string{fields[3]}, "must be r or rw"};
  user.may_write = fields[3] == "rw";
  user.rate = number(fields[4], where, "rate");
  user.quota = number(fields[5], where, "quota");
  return user;
}

void require_plain(const std::string& text, const char* what) {
  if (text.empty() || text.find_first_of(":\n\r") != text.npos || text.front() == '#')
    throw Error{what, text, "must be neither empty nor have a colon or a line's end"};
}

}  // namespace

Users parse_users(std::string_view text, const std::string& origin) {
  Users users;
  for (int number_of_line = 1; !text.empty(); ++number_of_line) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == text.npos ? std::string_view{} : text.substr(end + 1);
    if (line.empty() || line.front() == '#') continue;
    const std::string where = origin + ":" + std::to_string(number_of_line);
    const auto fields = fields_of(line);
    if (!fields || fields->front().empty())
      throw Error{where, "", "must be name:hash:home:rights:rate:quota"};
    if (!users.emplace((*fields)[0], make_user(*fields, where)).second)
      throw Error{where, std::string{(*fields)[0]}, "is there twice"};
  }
  return users;
}

Users read_users(const std::string& path) {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) < 0) throw_errno("open", path);
  if (!S_ISREG(facts.st_mode)) throw Error{"open", path, "is no regular file"};
  return parse_users(read_file(path), path);
}

void write_users(const std::string& path, const Users& users) {
  std::string text;
  for (const auto& [name, user] : users) {
    require_plain(name, "user");
    require_plain(user.home, "home");
    text.append(name).append(":").append(user.hash).append(":").append(user.home);
    text.append(user.may_write ? ":rw:" : ":r:");
    if (user.rate != 0) text.append(std::to_string(user.rate));
    text.append(":");
    if (user.quota != 0) text.append(std::to_string(user.quota));
    text.append("\n");
  }
  struct stat old{};
  const mode_t mode = ::stat(path.c_str(), &old) == 0 ? old.st_mode & 07777U : 0600U;
  const std::string fresh = path + ".new";
  ::unlink(fresh.c_str());
  const UniqueFd file{::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)};
  if (!file.valid()) throw_errno("open", fresh);
  try {
    write_full(file.fd(), text, fresh);
    if (::fsync(file.fd()) != 0) throw_errno("fsync", fresh);
    if (::rename(fresh.c_str(), path.c_str()) != 0) throw_errno("rename", path);
  } catch (...) {
    ::unlink(fresh.c_str());
    throw;
  }
}

}  // namespace procpool::ftp
