#include "servers/ftp/upload.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "ipc/base/error.hpp"
#include "servers/ftp/detail/random_number.hpp"
#include "servers/ftp/listing.hpp"
#include "servers/ftp/path.hpp"

namespace procpool::ftp {
namespace {

std::string fresh_name() {
  return Upload::kPrefix + std::to_string(::getpid()) + "." +
         std::to_string(detail::random_number());
}

std::string proc_path(const UniqueFd& file) {
  return "/proc/self/fd/" + std::to_string(file.fd());
}

// Not before somebody took it for abandoned.
bool is_locked_in_time(const UniqueFd& file) {
  struct stat facts{};
  return ::flock(file.fd(), LOCK_EX | LOCK_NB) == 0 && ::fstat(file.fd(), &facts) == 0 &&
         facts.st_nlink != 0;
}

bool is_abandoned(const FileTree& tree, const std::string& path) {
  const UniqueFd file = tree.open(path, O_RDONLY | O_NOFOLLOW);
  return file.valid() && ::flock(file.fd(), LOCK_EX | LOCK_NB) == 0;
}

}  // namespace

Upload::Upload(const FileTree& tree, std::string path, mode_t mode)
    : path_{std::move(path)}, parent_{tree.open_parent(path_)} {
  if (!parent_.valid()) throw_errno("open", parent_of(path_));
  file_ = UniqueFd{::openat(parent_.fd(), ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, mode)};
  if (file_.valid()) {
    if (::flock(file_.fd(), LOCK_EX | LOCK_NB) != 0) throw_errno("flock", path_);
    return;
  }
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) throw_errno("open", path_);
  do {
    own_name_ = fresh_name();
    file_ = UniqueFd{::openat(parent_.fd(), own_name_.c_str(),
                              O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)};
    if (!file_.valid()) throw_errno("open", path_);
  } while (!is_locked_in_time(file_));
}

Upload::~Upload() {
  if (!own_name_.empty()) ::unlinkat(parent_.fd(), own_name_.c_str(), 0);
}

std::uint64_t Upload::size() const {
  struct stat facts{};
  if (::fstat(file_.fd(), &facts) != 0) throw_errno("fstat", path_);
  return static_cast<std::uint64_t>(facts.st_size);
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

std::vector<std::string> abandoned_uploads(const FileTree& tree, const std::string& directory) {
  std::vector<std::string> names;
  UniqueFd opened = tree.open(directory, O_RDONLY | O_DIRECTORY);
  if (!opened.valid()) return names;
  DirectoryReader reader{std::move(opened)};
  while (auto name = reader.next_name()) {
    if (name->starts_with(Upload::kPrefix) && is_abandoned(tree, resolve(directory, *name)))
      names.push_back(*std::move(name));
  }
  return names;
}

}  // namespace procpool::ftp
