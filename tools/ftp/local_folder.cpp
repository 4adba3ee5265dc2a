#include "tools/ftp/local_folder.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <functional>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/open_resolved.hpp"
#include "tools/ftp/names.hpp"

namespace procpool::ftp_client {
namespace {

constexpr std::uint64_t kResolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
constexpr std::size_t kLongestName = 255;

// Of a name that is as long as it may be, the end is exchanged for a hash.
std::string part_name_of(const std::string& name) {
  const std::string suffix{PartFile::kSuffix};
  if (name.size() + suffix.size() <= kLongestName) return name + suffix;
  const std::string mark = "." + std::to_string(std::hash<std::string>{}(name)) + suffix;
  return name.substr(0, kLongestName - mark.size()) + mark;
}

}  // namespace

LocalFolder::LocalFolder(const std::string& path)
    : path_{path}, directory_{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)} {
  if (!directory_.valid()) throw_errno("open", path);
}

UniqueFd LocalFolder::open(const std::string& path, int flags, mode_t mode) const {
  return open_resolved(directory_.fd(), path, flags, mode, kResolve);
}

LocalFolder::Place LocalFolder::place(const std::string& path) const {
  const auto slash = path.rfind('/');
  const std::string parent = slash == path.npos ? "." : path.substr(0, slash);
  UniqueFd directory = open(parent, O_RDONLY | O_DIRECTORY);
  if (!directory.valid()) throw_errno("open", printable(joined(path_, parent)));
  return {.parent = std::move(directory),
          .name = slash == path.npos ? path : path.substr(slash + 1)};
}

void LocalFolder::make(const std::string& path) const {
  const Place where = place(path);
  if (::mkdirat(where.parent.fd(), where.name.c_str(), 0777) == 0) return;
  const int error = errno;
  const UniqueFd there = open(path, O_RDONLY | O_DIRECTORY);
  if (!there.valid()) throw_errno("make directory", printable(joined(path_, path)), error);
}

std::optional<struct stat> LocalFolder::look(const std::string& path) const {
  const UniqueFd file = open(path, O_PATH | O_NOFOLLOW);
  struct stat facts{};
  if (!file.valid() || ::fstat(file.fd(), &facts) != 0) return std::nullopt;
  return facts;
}

PartFile::PartFile(const LocalFolder& folder, const std::string& path,
                   const std::optional<Resume>& resume)
    : place_{folder.place(path)},
      whole_path_{printable(joined(folder.path(), path))},
      part_name_{part_name_of(place_.name)} {
  if (resume && (adopt(*resume, part_name_) || adopt(*resume, place_.name))) return;
  begin_anew();
}

void PartFile::begin_anew() {
  file_.reset(::openat(place_.parent.fd(), part_name_.c_str(),
                       O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0666));
  if (!file_.valid()) throw_errno("write", whole_path_);
}

// False: it is no part of what is there now.
bool PartFile::adopt(const Resume& resume, const std::string& name) {
  const int parent = place_.parent.fd();
  UniqueFd file{::openat(parent, name.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)};
  struct stat facts{};
  if (!file.valid() || ::fstat(file.fd(), &facts) != 0 || !S_ISREG(facts.st_mode)) return false;
  const auto size = static_cast<std::uint64_t>(facts.st_size);
  if (resume.remote_size && size > *resume.remote_size) return false;
  if (resume.remote_modified && *resume.remote_modified > facts.st_mtime) return false;
  if (::lseek(file.fd(), 0, SEEK_END) < 0) return false;
  if (name != part_name_ && ::renameat(parent, name.c_str(), parent, part_name_.c_str()) != 0)
    throw_errno("rename", whole_path_);
  file_ = std::move(file);
  size_ = size;
  return true;
}

void PartFile::append(std::string_view bytes) {
  write_full(file_.fd(), bytes, whole_path_);
  size_ += bytes.size();
}

void PartFile::finish(std::optional<std::time_t> modified) {
  if (modified) {
    const timespec then{.tv_sec = *modified, .tv_nsec = 0};
    if (::futimens(file_.fd(), std::array{then, then}.data()) != 0)
      throw_errno("set time", whole_path_);
  }
  const int parent = place_.parent.fd();
  if (::renameat(parent, part_name_.c_str(), parent, place_.name.c_str()) != 0)
    throw_errno("rename", whole_path_);
}

}  // namespace procpool::ftp_client
