#include "tests/support/held_child.hpp"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::test {
namespace {

int run_traced(const std::function<int()>& operation) {
  if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) < 0) throw_errno("ptrace", "PTRACE_TRACEME");
  if (::raise(SIGSTOP) != 0) throw_errno("raise", "SIGSTOP");
  return operation();
}

// False: it has ended, and is not reaped.
bool await_stop(pid_t pid) {
  siginfo_t info{};
  const auto call = [&] {
    return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WSTOPPED | WNOWAIT | __WALL);
  };
  if (retry_eintr(call) < 0) throw_errno("waitid", "held child");
  if (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED) return false;
  return ::waitpid(pid, nullptr, WSTOPPED | __WALL) == pid;
}

}  // namespace

Held hold_at_system_call(std::size_t nth, const std::function<int()>& operation,
                         const std::function<void(pid_t)>& meanwhile) {
  Forked child{[&] { return run_traced(operation); }};
  bool held = await_stop(child.pid());
  for (std::size_t stops = 0; held && stops <= nth; ++stops) {
    if (::ptrace(PTRACE_SYSCALL, child.pid(), nullptr, nullptr) < 0) {
      throw_errno("ptrace", "PTRACE_SYSCALL");
    }
    held = await_stop(child.pid());
  }
  if (held) {
    meanwhile(child.pid());
    if (::ptrace(PTRACE_DETACH, child.pid(), nullptr, nullptr) < 0) throw_errno("ptrace", "DETACH");
  }
  return {.held = held, .ending = child.wait()};
}

}  // namespace procpool::test
