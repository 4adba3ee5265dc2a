#include "proc/pid_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::proc {
namespace {

// From the first byte on, as many bytes as the holder's pid says: any two such locks exclude each
// other, and whoever asks for one learns the length of the other.
struct flock lock_of(pid_t pid) {
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = 0;
  lock.l_len = pid;
  return lock;
}

std::optional<pid_t> holder_of(int fd, const std::string& path) {
  struct flock lock = lock_of(1);
  if (::fcntl(fd, F_OFD_GETLK, &lock) != 0) throw_errno("fcntl(F_OFD_GETLK)", path);
  if (lock.l_type == F_UNLCK) return std::nullopt;
  return lock.l_pid > 0 ? lock.l_pid : static_cast<pid_t>(lock.l_len);  // -1: it is an OFD lock
}

bool try_lock(int fd, const std::string& path) {
  struct flock lock = lock_of(::getpid());
  if (::fcntl(fd, F_OFD_SETLK, &lock) == 0) return true;
  if (errno == EAGAIN || errno == EACCES) return false;
  throw_errno("fcntl(F_OFD_SETLK)", path);
}

// The lock belongs to the open file, whichever process has it: so it grows or shrinks in place, and
// its first byte is never free.
void take_over_lock(int fd, const std::string& path) {
  if (!try_lock(fd, path)) throw Error{"pid file", path, "is held by another"};
  struct flock rest = lock_of(0);
  rest.l_type = F_UNLCK;
  rest.l_start = ::getpid();
  if (::fcntl(fd, F_OFD_SETLK, &rest) != 0) throw_errno("fcntl(F_OFD_SETLK)", path);
}

bool is_at(int fd, const std::string& path) noexcept {
  struct stat mine{};
  struct stat there{};
  if (::fstat(fd, &mine) != 0 || ::stat(path.c_str(), &there) != 0) return false;
  return mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

UniqueFd open_file(const std::string& path) {
  UniqueFd file{retry_eintr(
      [&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644); })};
  if (!file.valid()) throw_errno("open", path);
  struct stat facts{};
  if (::fstat(file.fd(), &facts) != 0) throw_errno("fstat", path);
  if (!S_ISREG(facts.st_mode)) throw Error{"pid file", path, "not a regular file"};
  return file;
}

[[noreturn]] void throw_held(const std::string& path, pid_t holder) {
  throw Error{"pid file", path, "held by process " + std::to_string(holder)};
}

// The file that is at the path, locked. One that was removed or replaced before it was locked
// protects nothing: then the next one is tried.
UniqueFd open_and_lock(const std::string& path) {
  for (;;) {
    UniqueFd file = open_file(path);
    if (try_lock(file.fd(), path)) {
      if (is_at(file.fd(), path)) return file;
    } else if (const auto holder = holder_of(file.fd(), path)) {
      throw_held(path, *holder);
    }
  }
}

void write_pid(int fd, const std::string& path) {
  if (::ftruncate(fd, 0) != 0) throw_errno("ftruncate", path);
  ::lseek(fd, 0, SEEK_SET);  // one place for all who have this open file
  write_full(fd, std::to_string(::getpid()) + "\n", path);
}

}  // namespace

PidFile::PidFile(std::string path)
    : path_{std::move(path)}, owner_{::getpid()}, file_{open_and_lock(path_)} {
  try {
    write_pid(file_.fd(), path_);
  } catch (...) {
    ::unlink(path_.c_str());
    throw;
  }
}

PidFile::PidFile(std::string path, UniqueFd held)
    : path_{std::move(path)}, owner_{::getpid()}, file_{std::move(held)} {
  if (!is_at(file_.fd(), path_)) throw Error{"pid file", path_, "is another file now"};
  hold();
}

void PidFile::hold() {
  take_over_lock(file_.fd(), path_);
  write_pid(file_.fd(), path_);
}

PidFile::~PidFile() {
  if (!file_.valid() || owner_ != ::getpid()) return;
  // Still locked: who comes now sees that it was removed, and makes a new one.
  if (is_at(file_.fd(), path_)) ::unlink(path_.c_str());
}

std::optional<pid_t> read_pid_file(const std::string& path) {
  const UniqueFd file{retry_eintr([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); })};
  if (file.valid()) return holder_of(file.fd(), path);
  if (errno == ENOENT) return std::nullopt;
  throw_errno("open", path);
}

}  // namespace procpool::proc
