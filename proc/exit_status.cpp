#include "proc/exit_status.hpp"

#include <sys/wait.h>

#include <cstring>

namespace procpool::proc {

ExitStatus ExitStatus::from_siginfo(const siginfo_t& info) noexcept {
  switch (info.si_code) {
    case CLD_KILLED:
      return signaled(info.si_status);
    case CLD_DUMPED:
      return signaled(info.si_status, Core::dumped);
    default:
      return exited(info.si_status);
  }
}

ExitStatus ExitStatus::from_wait_status(int wait_status) noexcept {
  if (WIFSIGNALED(wait_status)) {
    return signaled(WTERMSIG(wait_status), WCOREDUMP(wait_status) ? Core::dumped : Core::none);
  }
  return exited(WEXITSTATUS(wait_status));
}

std::string ExitStatus::text() const {
  if (signal_ == 0) return "exited with code " + std::to_string(code_);
  return "killed by " + signal_name(signal_) + (core_dumped() ? " (core dumped)" : "");
}

std::string signal_name(int signal_number) {
  if (const char* name = ::sigabbrev_np(signal_number)) return std::string{"SIG"} + name;
  if (signal_number >= SIGRTMIN && signal_number <= SIGRTMAX) {
    const int offset = signal_number - SIGRTMIN;
    return offset == 0 ? "SIGRTMIN" : "SIGRTMIN+" + std::to_string(offset);
  }
  return "signal " + std::to_string(signal_number);
}

}  // namespace procpool::proc
