#include "tests/support/single_step.hpp"

#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>

#include "ipc/base/deadline.hpp"
#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/owner.hpp"

namespace procpool::test {
namespace {

using namespace std::chrono_literals;

// Stops the tracee and tells its tracer so: where the operation begins and where it ends.
void mark() {
  ::syscall(SYS_tgkill, ::getpid(), ::gettid(), SIGTRAP);
}

void run_traced(const std::function<void()>& operation) {
  // A child learns who it is by thousands of instructions in which it holds nothing yet.
  static_cast<void>(Owner::this_thread());
  static_cast<void>(Owner::this_process());
  if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) < 0) throw_errno("ptrace", "PTRACE_TRACEME");
  mark();
  operation();
  mark();
}

// Waits for the tracee's next stop. False: it sleeps in the kernel.
bool await_stop(pid_t pid) {
  constexpr int kQuickTries = 2000;
  constexpr auto kLongSleep = 10ms;
  Deadline judged = Deadline::in(kLongSleep);
  for (int tries = 0;; ++tries) {
    int status = 0;
    const pid_t reported = retry_eintr([&] { return ::waitpid(pid, &status, WNOHANG | __WALL); });
    if (reported < 0) throw_errno("waitpid", "stepped child");
    if (reported == pid) {
      if (!WIFSTOPPED(status)) throw Error{"step", "child", "it ended before its operation did"};
      return true;
    }
    if (tries < kQuickTries) {
      std::this_thread::yield();
      continue;
    }
    if (judged.expired()) {
      if (is_asleep(pid)) return false;
      judged = Deadline::in(kLongSleep);
    }
    std::this_thread::sleep_for(1ms);
  }
}

// A single step stops with TRAP_TRACE, a mark with the code of a signal sent by a process.
bool at_mark(pid_t pid) {
  siginfo_t info{};
  if (::ptrace(PTRACE_GETSIGINFO, pid, nullptr, &info) < 0) throw_errno("ptrace", "GETSIGINFO");
  return info.si_signo == SIGTRAP && info.si_code <= 0;
}

}  // namespace

bool is_asleep(pid_t pid) {
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  return stat.at(stat.rfind(')') + 2) == 'S';
}

SteppedChild::SteppedChild(const std::function<void()>& operation)
    : child_{[&] { run_traced(operation); }} {
  while (!await_stop(child_.pid())) {
  }
  if (!at_mark(child_.pid())) throw Error{"step", "child", "it stopped before its operation"};
}

SteppedChild::Progress SteppedChild::step_once() {
  if (::ptrace(PTRACE_SINGLESTEP, child_.pid(), nullptr, nullptr) < 0) {
    throw_errno("ptrace", "PTRACE_SINGLESTEP");
  }
  if (!await_stop(child_.pid())) return Progress::asleep;
  return at_mark(child_.pid()) ? Progress::ended : Progress::inside;
}

SteppedChild::Progress SteppedChild::step(std::size_t count) {
  for (; count > 0 && progress_ == Progress::inside; --count) progress_ = step_once();
  return progress_;
}

void SteppedChild::kill() {
  child_.kill(SIGKILL);
  child_.wait();
}

std::size_t kill_at_every_instruction(const std::function<void()>& operation,
                                      const std::function<void(std::size_t)>& survive,
                                      std::size_t stride) {
  for (std::size_t i = 0;; i += stride) {
    SteppedChild victim{operation};
    const auto progress = victim.step(i);
    victim.kill();
    survive(i);
    if (progress != SteppedChild::Progress::inside) return i;
  }
}

std::size_t stride_unless_torture(std::size_t stride) {
  return ::getenv("PROCPOOL_TORTURE") != nullptr ? 1 : stride;
}

}  // namespace procpool::test
