#include "servers/ftp/file_tree.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "ipc/base/error.hpp"
#include "ipc/base/open_resolved.hpp"
#include "servers/ftp/path.hpp"

namespace procpool::ftp {
namespace {

int result(int returned) noexcept {
  return returned == 0 ? 0 : errno;
}

std::string last_name(const std::string& path) {
  return std::string{name_of(path)};
}

}  // namespace

FileTree::FileTree(const std::string& root)
    : root_{::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)} {
  if (!root_.valid()) throw_errno("open", root);
}

UniqueFd FileTree::open(const std::string& path, int flags, mode_t mode) const {
  const int nonblocking = (flags & O_PATH) == 0 ? O_NONBLOCK : 0;
  return open_resolved(root_.fd(), path, flags | nonblocking, mode, RESOLVE_IN_ROOT);
}

std::optional<struct stat> FileTree::look(const std::string& path) const {
  const UniqueFd file = open(path, O_PATH);
  struct stat facts{};
  if (!file.valid() || ::fstat(file.fd(), &facts) != 0) return std::nullopt;
  return facts;
}

std::optional<struct stat> FileTree::look_at_link(const std::string& path) const {
  const UniqueFd parent = open_parent(path);
  struct stat facts{};
  if (!parent.valid() ||
      ::fstatat(parent.fd(), last_name(path).c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0)
    return std::nullopt;
  return facts;
}

UniqueFd FileTree::open_parent(const std::string& path) const {
  return open(parent_of(path), O_PATH | O_DIRECTORY);
}

int FileTree::make_directory(const std::string& path, mode_t mode) const {
  const UniqueFd parent = open_parent(path);
  if (!parent.valid()) return errno;
  if (path == "/") return EEXIST;
  return result(::mkdirat(parent.fd(), last_name(path).c_str(), mode));
}

int FileTree::remove_directory(const std::string& path) const {
  const UniqueFd parent = open_parent(path);
  if (!parent.valid()) return errno;
  if (path == "/") return EBUSY;
  return result(::unlinkat(parent.fd(), last_name(path).c_str(), AT_REMOVEDIR));
}

int FileTree::remove_file(const std::string& path) const {
  const UniqueFd parent = open_parent(path);
  if (!parent.valid()) return errno;
  if (path == "/") return EISDIR;
  return result(::unlinkat(parent.fd(), last_name(path).c_str(), 0));
}

int FileTree::rename(const std::string& from, const std::string& to) const {
  const UniqueFd old_parent = open_parent(from);
  if (!old_parent.valid()) return errno;
  const UniqueFd new_parent = open_parent(to);
  if (!new_parent.valid()) return errno;
  if (from == "/" || to == "/") return EBUSY;
  return result(
      ::renameat(old_parent.fd(), last_name(from).c_str(), new_parent.fd(), last_name(to).c_str()));
}

// Through a descriptor: by name, a link that somebody lays meanwhile would be followed.
int FileTree::change_mode(const std::string& path, mode_t mode) const {
  const UniqueFd file = open(path, O_PATH);
  if (!file.valid()) return errno;
  std::array<char, 32> name;
  std::snprintf(name.data(), name.size(), "/proc/self/fd/%d", file.fd());
  return result(::chmod(name.data(), mode));
}

int FileTree::set_modified(const std::string& path, std::time_t time) const {
  const UniqueFd file = open(path, O_PATH);
  if (!file.valid()) return errno;
  std::array<char, 32> name;
  std::snprintf(name.data(), name.size(), "/proc/self/fd/%d", file.fd());
  const std::array<timespec, 2> times{timespec{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                                      timespec{.tv_sec = time, .tv_nsec = 0}};
  return result(::utimensat(AT_FDCWD, name.data(), times.data(), 0));
}

}  // namespace procpool::ftp
