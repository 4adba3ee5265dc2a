// A lock between processes that know a file in common.
//
//   ipc::FileLock lock{"/run/index.lock"};        // the file is made if it is not there
//   std::scoped_lock guard{lock};                 // or std::shared_lock{lock}: many readers
//   ipc::FileLock record{"/srv/table", {.begin = 4096, .length = 512}};   // a part of it
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

#include "ipc/base/deadline.hpp"
#include "ipc/base/unique_fd.hpp"
#include "ipc/detail/deadline_of.hpp"

namespace procpool::ipc {

// The bytes of a file that are locked; they need not exist.
struct FileRange {
  off_t begin = 0;
  off_t length = 0;  // 0: to the end, however far that is
};

// A standard SharedTimedLockable upon an open-file-description lock, fcntl(2) F_OFD_SETLK:
// advisory, between all who lock the same bytes this way (or by fcntl's other locks; flock(2) is
// apart). The kernel gives it back when the holder ends, killed or not. A copy that a child of fork
// has is the same lock: it is held until both are gone, or one unlocks it.
//
// An object is for one thread at a time, and is held once, shared or exclusive: each thread that is
// to be kept out has one of its own. Move only.
class FileLock {
 public:
  // Opens or makes the file (mode 0600, lessened by the umask(2)), close-on-exec, not following a
  // link. It is never removed: who waits for its lock would wait for another one's then. Throws
  // Error.
  explicit FileLock(const std::string& path, FileRange range = {});

  // Locks a file that is open already: for writing, if it is to be locked exclusively (EBADF).
  // Other copies of this descriptor (dup(2), fork(2)) are the same lock.
  explicit FileLock(UniqueFd file, FileRange range = {});

  // Blocks, without a time limit, until nobody else has the bytes. Throws Error: EDEADLK when this
  // object holds them already; EINVAL for a range below zero; ENOLCK.
  void lock() { acquire(Mode::exclusive); }
  void lock_shared() { acquire(Mode::shared); }

  // False: somebody else has them. Never blocks. Throws Error as lock().
  bool try_lock() { return try_acquire(Mode::exclusive); }
  bool try_lock_shared() { return try_acquire(Mode::shared); }

  // The same, but waits. The kernel knows no time limit here and no event, so it is asked again
  // after 1 ms, and ever less often up to every kLongestSleep (event_count.hpp): others may be
  // faster. Throws Error as lock().
  bool try_lock_until(Deadline deadline) { return acquire_by(Mode::exclusive, deadline); }
  bool try_lock_shared_until(Deadline deadline) { return acquire_by(Mode::shared, deadline); }
  template <typename Rep, typename Period>
  bool try_lock_for(std::chrono::duration<Rep, Period> time) {
    return try_lock_until(detail::deadline_of(time));
  }
  template <typename Rep, typename Period>
  bool try_lock_shared_for(std::chrono::duration<Rep, Period> time) {
    return try_lock_shared_until(detail::deadline_of(time));
  }
  template <typename Clock, typename Duration>
  bool try_lock_until(std::chrono::time_point<Clock, Duration> time) {  // Clock is read once
    return try_lock_until(detail::deadline_of(time));
  }
  template <typename Clock, typename Duration>
  bool try_lock_shared_until(std::chrono::time_point<Clock, Duration> time) {
    return try_lock_shared_until(detail::deadline_of(time));
  }

  // Throws Error EPERM when this object does not hold it so.
  void unlock() { release(Mode::exclusive); }
  void unlock_shared() { release(Mode::shared); }

  int fd() const noexcept { return file_.fd(); }  // the file's

 private:
  enum class Mode { none, shared, exclusive };

  void acquire(Mode mode);
  bool try_acquire(Mode mode);
  bool acquire_by(Mode mode, Deadline deadline);
  void release(Mode mode);
  bool set(int command, Mode mode);
  void check_free() const;

  UniqueFd file_;
  FileRange range_;
  std::string object_;
  Mode held_ = Mode::none;
};

}  // namespace procpool::ipc
