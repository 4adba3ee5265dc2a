// Who a process is, for longer than its pid is its own; and the proof that it is dead.
//
//   ProcessId owner = ProcessId::self();            // written where others can read it
//   if (owner.is_dead()) take_over();               // true only on proof; a zombie is dead
//   UniqueFd pidfd = open_pidfd(child);             // becomes readable when the process has ended
//   if (has_ended(pidfd.fd())) reap();
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "ipc/base/unique_fd.hpp"

namespace procpool {

// A process of this machine since its boot: a pid, and the moment it started, which tells it from
// a later process with the same pid. A trivially copyable value; it may lie in shared memory.
// Pids are those of the caller's pid namespace.
struct ProcessId {
  pid_t pid = 0;                 // 0: nobody
  std::uint64_t start_time = 0;  // clock ticks after boot: field 22 of /proc/PID/stat, proc(5)

  static ProcessId self();
  static std::optional<ProcessId> of(
      pid_t pid);  // nullopt: no such process (a zombie still is one)

  // True if the process has ended: no process has the pid, another one has it now, or it is a
  // zombie. False while it lives, stopped (SIGSTOP) or not. Never blocks. Without a
  // descriptor to look with (EMFILE) whoever has the pid lives, for now. Throws Error.
  bool is_dead() const;

  friend bool operator==(const ProcessId&, const ProcessId&) = default;
};

// A descriptor for a process, pidfd_open(2), close-on-exec. Throws Error naming the pid (ESRCH: it
// is gone). Race-free only for a child that is not reaped yet; for any other process compare its
// ProcessId.
UniqueFd open_pidfd(pid_t pid);

// The process behind a pidfd has ended, reaped or not. Never blocks. Throws Error (EBADF).
bool has_ended(int pidfd);

// Sends a signal through a pidfd, pidfd_send_signal(2). False: the process is gone. Throws Error
// (EPERM, EINVAL).
bool send_signal(int pidfd, int signal_number);

// The same with a value, which the receiver reads as si_value: sigqueue(3). Throws Error also
// EAGAIN: the receiver has as many queued as RLIMIT_SIGPENDING allows.
bool send_signal_with_value(int pidfd, int signal_number, int value);

}  // namespace procpool
