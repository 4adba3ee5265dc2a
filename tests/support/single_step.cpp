#include "tests/support/single_step.hpp"

#include <elf.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>

#include "ipc/base/deadline.hpp"
#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/owner.hpp"

namespace procpool::test {
namespace {

using namespace std::chrono_literals;
using Word = unsigned long;  // as ptrace(2) reads and writes

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

// SIGCHLD kept for sigtimedwait(2), which is told of a tracee's stops by it.
class HeldSigchld {
 public:
  HeldSigchld() {
    ::sigemptyset(&set_);
    ::sigaddset(&set_, SIGCHLD);
    ::pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  HeldSigchld(const HeldSigchld&) = delete;
  HeldSigchld& operator=(const HeldSigchld&) = delete;
  ~HeldSigchld() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  bool wait(std::chrono::nanoseconds time) const {
    const timespec limit{.tv_sec = 0, .tv_nsec = time.count()};
    return ::sigtimedwait(&set_, nullptr, &limit) == SIGCHLD;
  }

 private:
  sigset_t set_{};
  sigset_t before_{};
};

// Waits for the tracee's next stop. False: it sleeps in the kernel.
bool await_stop(pid_t pid) {
  constexpr int kQuickTries = 100;  // a step takes less than they do, where it has a CPU of its own
  constexpr auto kLongSleep = 10ms;
  const HeldSigchld told;
  for (int tries = 0;; ++tries) {
    int status = 0;
    const pid_t reported = retry_eintr([&] { return ::waitpid(pid, &status, WNOHANG | __WALL); });
    if (reported < 0) throw_errno("waitpid", "stepped child");
    if (reported == pid) {
      if (!WIFSTOPPED(status)) throw Error{"step", "child", "it ended before its operation did"};
      return true;
    }
    if (tries >= kQuickTries && !told.wait(kLongSleep) && is_asleep(pid)) return false;
  }
}

// A single step stops with TRAP_TRACE, a mark with the code of a signal sent by a process.
bool at_mark(pid_t pid) {
  siginfo_t info{};
  if (::ptrace(PTRACE_GETSIGINFO, pid, nullptr, &info) < 0) throw_errno("ptrace", "GETSIGINFO");
  return info.si_signo == SIGTRAP && info.si_code <= 0;
}

using Registers = user_regs_struct;

#if defined(__x86_64__)
auto& instruction_pointer(Registers& registers) {
  return registers.rip;
}
constexpr Word kBreakpoint = 0xcc;  // int3
constexpr Word kBreakpointMask = 0xff;
#elif defined(__aarch64__)
auto& instruction_pointer(Registers& registers) {
  return registers.pc;
}
constexpr Word kBreakpoint = 0xd4200000;  // brk #0
constexpr Word kBreakpointMask = 0xffffffff;
#endif

Registers registers_of(pid_t pid) {
  Registers registers{};
  iovec buffer{.iov_base = &registers, .iov_len = sizeof registers};
  if (::ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &buffer) < 0) throw_errno("ptrace", "GETREGSET");
  return registers;
}

void set_registers(pid_t pid, Registers& registers) {
  iovec buffer{.iov_base = &registers, .iov_len = sizeof registers};
  if (::ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &buffer) < 0) throw_errno("ptrace", "SETREGSET");
}

Word peek(pid_t pid, std::uintptr_t address) {
  errno = 0;
  const long word = ::ptrace(PTRACE_PEEKTEXT, pid, address, nullptr);
  if (errno != 0) throw_errno("ptrace", "PTRACE_PEEKTEXT");
  return static_cast<Word>(word);
}

void poke(pid_t pid, std::uintptr_t address, Word word) {
  if (::ptrace(PTRACE_POKETEXT, pid, address, word) < 0) throw_errno("ptrace", "PTRACE_POKETEXT");
}

}  // namespace

bool is_asleep(pid_t pid) {
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  return stat.at(stat.rfind(')') + 2) == 'S';
}

Tracee Tracee::seize(pid_t pid) {
  if (::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) < 0) throw_errno("ptrace", "PTRACE_SEIZE");
  if (::ptrace(PTRACE_INTERRUPT, pid, nullptr, nullptr) < 0) throw_errno("ptrace", "INTERRUPT");
  while (!await_stop(pid)) {
  }
  return Tracee{pid};
}

Tracee::Progress Tracee::step_once() {
  if (::ptrace(PTRACE_SINGLESTEP, traced_, nullptr, nullptr) < 0) {
    throw_errno("ptrace", "PTRACE_SINGLESTEP");
  }
  if (!await_stop(traced_)) return Progress::asleep;
  return at_mark(traced_) ? Progress::ended : Progress::inside;
}

Tracee::Progress Tracee::step(std::size_t count) {
  for (; count > 0 && progress_ == Progress::inside; --count) progress_ = step_once();
  return progress_;
}

std::uintptr_t Tracee::address() const {
  Registers registers = registers_of(traced_);
  return instruction_pointer(registers);
}

Tracee::Progress Tracee::run_to(std::uintptr_t address) {
  if (progress_ != Progress::inside || this->address() == address) return progress_;
  const Word replaced = peek(traced_, address);
  poke(traced_, address, (replaced & ~kBreakpointMask) | kBreakpoint);
  if (::ptrace(PTRACE_CONT, traced_, nullptr, nullptr) < 0) throw_errno("ptrace", "PTRACE_CONT");
  if (!await_stop(traced_)) return progress_ = Progress::asleep;
  if (at_mark(traced_)) return progress_ = Progress::ended;
  poke(traced_, address, replaced);
  Registers registers = registers_of(traced_);
  instruction_pointer(registers) = address;
  set_registers(traced_, registers);
  return progress_;
}

void Tracee::kill() {
  ::kill(traced_, SIGKILL);
  int status = 0;
  while (retry_eintr([&] { return ::waitpid(traced_, &status, __WALL); }) == traced_ &&
         !WIFSIGNALED(status)) {
  }
}

SteppedChild::SteppedChild(const std::function<void()>& operation)
    : Forked{[&] { run_traced(operation); }}, Tracee{pid()} {
  while (!await_stop(pid())) {
  }
  if (!at_mark(pid())) throw Error{"step", "child", "it stopped before its operation"};
}

void SteppedChild::kill() {
  Forked::kill(SIGKILL);
  wait();
}

bool Sweep::next() {
  if (!begun_) return begun_ = true;
  if (lost_) {
    lost_ = false;  // this one again, step by step
    return true;
  }
  if (progress_ == Tracee::Progress::inside) {
    count_ += stride_;
    return true;
  }
  std::cout << "[  FIGURES ] " << count_ / stride_ + 1 << " victims, after 0 to " << count_
            << " instructions" << std::endl;
  return false;
}

void Sweep::advance(Tracee& victim) {
  std::size_t done = 0;
  progress_ = Tracee::Progress::inside;
  if (way_.empty()) {
    remember(0, victim.address());
  } else {
    done = anchors_[std::min(count_, way_.size() - 1)];
    progress_ = victim.run_to(way_[done]);
    if (progress_ != Tracee::Progress::inside) {
      lost_ = true;
      forget_from(0);
      return;
    }
  }
  while (done < count_ && (progress_ = victim.step(1)) == Tracee::Progress::inside) {
    remember(++done, victim.address());
  }
}

void Sweep::remember(std::size_t index, std::uintptr_t address) {
  if (index < way_.size()) {
    if (way_[index] == address) return;
    forget_from(index);
  }
  const bool first = first_visits_.try_emplace(address, index).second;
  anchors_.push_back(first ? index : anchors_.back());
  way_.push_back(address);
}

void Sweep::forget_from(std::size_t index) {
  std::erase_if(first_visits_, [&](const auto& visit) { return visit.second >= index; });
  way_.resize(index);
  anchors_.resize(index);
}

std::size_t kill_at_every_instruction(const std::function<void()>& operation,
                                      const std::function<void(std::size_t)>& survive,
                                      std::size_t stride) {
  Sweep sweep{stride};
  while (sweep.next()) {
    SteppedChild victim{operation};
    sweep.advance(victim);
    victim.kill();
    survive(sweep.instructions());
  }
  return sweep.instructions();
}

std::size_t stride_unless_torture(std::size_t stride) {
  return ::getenv("PROCPOOL_TORTURE") != nullptr ? 1 : stride;
}

}  // namespace procpool::test
