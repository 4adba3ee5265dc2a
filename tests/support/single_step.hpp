// Kills a process at an instruction of our choice.
//
//   for (std::size_t i = 0;; ++i) {
//     SteppedChild victim{[&] { mutex.lock(); mutex.unlock(); }};
//     const auto progress = victim.step(i);
//     victim.kill();
//     ... the survivors go on ...
//     if (progress == SteppedChild::Progress::ended) break;   // every instruction was tried
//   }
#pragma once

#include <cstddef>
#include <functional>

#include "tests/support/forked.hpp"

namespace procpool::test {

// A forked child that executes `operation` one machine instruction at a time (PTRACE_SINGLESTEP),
// libc and inlined code included; a system call is one step. Call the operation once before in the
// test process, or the dynamic linker's first look-up of each function is stepped through as well.
// The child has asked for its Owner before.
// For one thread: the tracer is the thread that made it.
class SteppedChild {
 public:
  enum class Progress {
    inside,  // it stands within the operation
    asleep,  // it waits in a system call
    ended,   // the operation was over before that many steps
  };

  explicit SteppedChild(const std::function<void()>& operation);  // throws Error

  // Executes up to `count` instructions more. Once asleep or ended, it stays so.
  Progress step(std::size_t count);

  void kill();  // SIGKILL, and waits for the end

 private:
  Progress step_once();

  Forked child_;
  Progress progress_ = Progress::inside;
};

// Whether a process waits in a system call, stopped by nobody: S in proc(5).
bool is_asleep(pid_t pid);

// Runs the operation in a new victim for every i, kills it after i instructions (or in its
// sleep), then calls survive(i). Until the operation comes to its end. Returns the number of
// instructions tried. `stride` > 1 tries every stride-th only.
std::size_t kill_at_every_instruction(const std::function<void()>& operation,
                                      const std::function<void(std::size_t)>& survive,
                                      std::size_t stride = 1);

// The stride for an operation too long for the daily suite: every instruction when the environment
// has PROCPOOL_TORTURE, as in the long runs.
std::size_t stride_unless_torture(std::size_t stride);

}  // namespace procpool::test
