#include "tests/support/held_child.hpp"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::test {
namespace {

constexpr int kSystemCall = 0x80;  // with PTRACE_O_TRACESYSGOOD: ptrace(2)

int run_traced(const std::function<int()>& operation) {
  if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) < 0) throw_errno("ptrace", "PTRACE_TRACEME");
  if (::raise(SIGSTOP) != 0) throw_errno("raise", "SIGSTOP");
  return operation();
}

// The signal of the tracee's next stop. 0: it has ended, and is not reaped.
int await_stop(pid_t pid) {
  siginfo_t info{};
  const auto call = [&] {
    return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WSTOPPED | WNOWAIT | __WALL);
  };
  if (retry_eintr(call) < 0) throw_errno("waitid", "held child");
  if (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED) return 0;
  int status = 0;
  if (::waitpid(pid, &status, WSTOPPED | __WALL) < 0) throw_errno("waitpid", "held child");
  return WSTOPSIG(status);
}

void request(__ptrace_request request, pid_t pid, long data = 0) {
  if (::ptrace(request, pid, nullptr, data) < 0) throw_errno("ptrace", "held child");
}

}  // namespace

Held hold_at_system_call(std::size_t nth, const std::function<int()>& operation,
                         const std::function<void(pid_t)>& meanwhile) {
  Forked child{[&] { return run_traced(operation); }};
  int stop = await_stop(child.pid());
  request(PTRACE_SETOPTIONS, child.pid(), PTRACE_O_TRACESYSGOOD);
  bool entered = false;
  for (std::size_t calls = 0; stop != 0 && calls <= nth;) {
    request(PTRACE_SYSCALL, child.pid());
    stop = await_stop(child.pid());
    if (stop != (SIGTRAP | kSystemCall)) continue;
    entered = !entered;
    if (entered) ++calls;
  }
  const bool held = stop != 0;
  if (held) {
    meanwhile(child.pid());
    const bool killed = ::ptrace(PTRACE_DETACH, child.pid(), nullptr, nullptr) < 0;
    if (killed && errno != ESRCH) throw_errno("ptrace", "DETACH");
  }
  return {.held = held, .ending = child.wait()};
}

}  // namespace procpool::test
