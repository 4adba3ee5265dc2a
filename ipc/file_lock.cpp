#include "ipc/file_lock.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/event_count.hpp"
#include "ipc/base/io.hpp"

namespace procpool::ipc {

FileLock::FileLock(const std::string& path, FileRange range) : range_{range}, object_{path} {
  constexpr int kFlags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  file_.reset(retry_eintr([&] { return ::open(path.c_str(), kFlags, mode_t{S_IRUSR | S_IWUSR}); }));
  if (!file_.valid()) throw_errno("open lock file", path);
}

FileLock::FileLock(UniqueFd file, FileRange range)
    : file_{std::move(file)}, range_{range}, object_{"descriptor " + std::to_string(file_.fd())} {}

// False: somebody else has it.
bool FileLock::set(int command, Mode mode) {
  constexpr auto type_of = [](Mode wanted) {
    if (wanted == Mode::none) return F_UNLCK;
    return wanted == Mode::shared ? F_RDLCK : F_WRLCK;
  };
  struct flock request{};
  request.l_type = static_cast<short>(type_of(mode));
  request.l_whence = SEEK_SET;
  request.l_start = range_.begin;
  request.l_len = range_.length;
  if (retry_eintr([&] { return ::fcntl(file_.fd(), command, &request); }) == 0) {
    held_ = mode;
    return true;
  }
  if (errno == EAGAIN || errno == EACCES) return false;
  throw_errno("lock", object_);
}

void FileLock::check_free() const {
  if (held_ != Mode::none) throw_errno("lock", object_, EDEADLK);
}

void FileLock::acquire(Mode mode) {
  check_free();
  set(F_OFD_SETLKW, mode);
}

bool FileLock::try_acquire(Mode mode) {
  check_free();
  return set(F_OFD_SETLK, mode);
}

bool FileLock::acquire_by(Mode mode, Deadline deadline) {
  for (std::chrono::milliseconds pause{1}; !try_acquire(mode);
       pause = std::min(pause * 2, kLongestSleep)) {
    if (deadline.expired()) return false;
    std::this_thread::sleep_until(std::min(deadline, Deadline::in(pause)).time());
  }
  return true;
}

void FileLock::release(Mode mode) {
  if (held_ != mode) throw_errno("unlock", object_, EPERM);
  set(F_OFD_SETLK, Mode::none);
}

}  // namespace procpool::ipc
