// The file that says which process a running daemon is.
//
//   PidFile pid_file{"/run/x.pid"};            // Error when another process holds it: says which
//   if (auto pid = read_pid_file("/run/x.pid")) print(*pid);      // the process that holds it now
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "ipc/base/unique_fd.hpp"

namespace procpool::proc {

// Holds the file's lock, writes "pid\n" into it, and removes it at the end. The lock is the truth,
// not the file: an empty, stale or foreign file blocks nobody, and a holder that is killed lets go
// at once. It is an open-file-description lock (F_OFD_SETLK, fcntl(2)) on the first pid bytes: so
// the holder's pid is known in the very step that takes it, whatever the file says yet. Nobody but
// the holder removes or replaces the file; if somebody did, the next to come holds a file of its
// own. Move only. After fork the child's copy neither removes the file nor lets go of the lock, but
// keeps it held until its descriptor is closed: a child that may outlive the parent closes it
// (ChildOptions::keep_only).
class PidFile {
 public:
  // Takes the lock, never waits for it. Throws Error: another process has it (its pid is in the
  // text), or the file cannot be opened or written.
  explicit PidFile(std::string path);

  // From another process that holds it, by its descriptor: from here on this one is its holder, for
  // whoever asks, and nobody could have taken it in between. The other calls leave() when it knows.
  // Throws Error if the file is not at the path any more, or is not locked through this descriptor.
  PidFile(std::string path, UniqueFd held);

  PidFile(PidFile&&) noexcept = default;
  PidFile& operator=(PidFile&&) = delete;
  ~PidFile();

  // The file is another process's now: it is neither removed nor freed at the end.
  void leave() noexcept { file_.reset(); }

  // Holder again, after a process to which the descriptor was given ended without leave(). Throws
  // Error.
  void hold();

  const std::string& path() const noexcept { return path_; }
  int fd() const noexcept { return file_.fd(); }

 private:
  std::string path_;
  pid_t owner_;
  UniqueFd file_;
};

// The process that holds a pid file now; nullopt: nobody does, or there is no file. Takes no lock.
// Throws Error if the file cannot be opened.
std::optional<pid_t> read_pid_file(const std::string& path);

}  // namespace procpool::proc
