#include "servers/ftp/upload.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <random>
#include <utility>

#include "ipc/base/error.hpp"
#include "servers/ftp/path.hpp"

namespace procpool::ftp {
namespace {

std::string fresh_name() {
  std::random_device random;
  return Upload::kPrefix + std::to_string(::getpid()) + "." + std::to_string(random());
}

std::string proc_path(const UniqueFd& file) {
  return "/proc/self/fd/" + std::to_string(file.fd());
}

}  // namespace

Upload::Upload(const FileTree& tree, std::string path, mode_t mode)
    : path_{std::move(path)}, parent_{tree.open_parent(path_)} {
  if (!parent_.valid()) throw_errno("open", parent_of(path_));
  file_ = UniqueFd{::openat(parent_.fd(), ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, mode)};
  if (file_.valid()) return;
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) throw_errno("open", path_);
  own_name_ = fresh_name();
  file_ = UniqueFd{::openat(parent_.fd(), own_name_.c_str(),
                            O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)};
  if (!file_.valid()) throw_errno("open", path_);
}

Upload::~Upload() {
  if (!own_name_.empty()) ::unlinkat(parent_.fd(), own_name_.c_str(), 0);
}

void Upload::commit(Durable durable) {
  if (durable == Durable::yes && ::fsync(file_.fd()) != 0) throw_errno("fsync", path_);
  const std::string name{name_of(path_)};
  struct stat there{};
  if (::fstatat(parent_.fd(), name.c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0) {
    if (commit_as_new(Durable::no)) return;  // nobody was faster
  }
  if (own_name_.empty()) own_name_ = link_to_own_name();
  if (::renameat(parent_.fd(), own_name_.c_str(), parent_.fd(), name.c_str()) != 0)
    throw_errno("rename", path_);
  own_name_.clear();
}

bool Upload::commit_as_new(Durable durable) {
  if (durable == Durable::yes && ::fsync(file_.fd()) != 0) throw_errno("fsync", path_);
  const std::string name{name_of(path_)};
  const int linked = own_name_.empty()
                         ? ::linkat(AT_FDCWD, proc_path(file_).c_str(), parent_.fd(), name.c_str(),
                                    AT_SYMLINK_FOLLOW)
                         : ::linkat(parent_.fd(), own_name_.c_str(), parent_.fd(), name.c_str(), 0);
  if (linked == 0) return true;
  if (errno != EEXIST) throw_errno("link", path_);
  return false;
}

// rename(2) replaces, link(2) does not: so it has a name for a moment.
std::string Upload::link_to_own_name() {
  std::string name = fresh_name();
  if (::linkat(AT_FDCWD, proc_path(file_).c_str(), parent_.fd(), name.c_str(), AT_SYMLINK_FOLLOW) !=
      0) {
    throw_errno("link", path_);
  }
  return name;
}

}  // namespace procpool::ftp
