#include "ipc/base/process_id.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <limits>
#include <string>

#include "ipc/base/detail/proc_stat.hpp"
#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool {
namespace {

bool send(int pidfd, int signal_number, const siginfo_t* info) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, signal_number, info, 0) == 0) return true;
  if (errno == ESRCH) return false;
  throw_errno("pidfd_send_signal", std::to_string(signal_number));
}

}  // namespace

ProcessId ProcessId::self() {
  const auto id = of(::getpid());
  if (!id) throw_errno("read", "/proc/self/stat", ENOENT);
  return *id;
}

std::optional<ProcessId> ProcessId::of(pid_t pid) {
  const auto stat = detail::read_proc_stat(pid);
  if (!stat) return std::nullopt;
  return ProcessId{pid, stat->start_time};
}

bool ProcessId::is_dead() const {
  if (pid <= 0) return true;
  return detail::process_has_ended(pid, start_time, std::numeric_limits<std::uint64_t>::max());
}

UniqueFd open_pidfd(pid_t pid) {
  UniqueFd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  if (!pidfd.valid()) throw_errno("pidfd_open", std::to_string(pid));
  return pidfd;
}

bool has_ended(int pidfd) {
  return wait_ready(pidfd, POLLIN, Deadline::now()) != 0;
}

bool send_signal(int pidfd, int signal_number) {
  return send(pidfd, signal_number, nullptr);
}

bool send_signal_with_value(int pidfd, int signal_number, int value) {
  siginfo_t info{};
  info.si_signo = signal_number;
  info.si_code = SI_QUEUE;
  info.si_pid = ::getpid();
  info.si_uid = ::getuid();
  info.si_value.sival_int = value;
  return send(pidfd, signal_number, &info);
}

}  // namespace procpool
