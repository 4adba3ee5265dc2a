// Kills a process at an instruction of our choice.
//
//   for (Sweep sweep; sweep.next();) {
//     SteppedChild victim{[&] { mutex.lock(); mutex.unlock(); }};
//     sweep.advance(victim);
//     victim.kill();
//     ... the survivors go on ...
//   }
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "tests/support/forked.hpp"

namespace procpool::test {

// A process that this thread traces (ptrace(2)): it stands still until it is told to go on, one
// machine instruction at a time or up to one, libc and inlined code included. A system call is one
// instruction.
class Tracee {
 public:
  enum class Progress {
    inside,  // it stands within the operation
    asleep,  // it waits in a system call
    ended,   // the operation was over before that many steps
  };

  // One that runs or sleeps, by no signal. Its first step begins the call anew in which it slept.
  static Tracee seize(pid_t pid);  // throws Error

  // Executes up to `count` instructions more. Once asleep or ended, it stays so.
  Progress step(std::size_t count);

  // Executes at full speed until it stands before the instruction at this address.
  Progress run_to(std::uintptr_t address);

  std::uintptr_t address() const;  // of the instruction that is next

  // SIGKILL, and reaps it as its tracer. A parent in another process may reap it then.
  void kill();

 protected:
  explicit Tracee(pid_t pid) noexcept : traced_{pid} {}

 private:
  Progress step_once();

  pid_t traced_;
  Progress progress_ = Progress::inside;
};

// A forked child that executes `operation` and nothing else. Call the operation once before in the
// test process, or the dynamic linker's first look-up of each function is stepped through as well.
// The child has asked for its Owner before.
class SteppedChild : Forked, public Tracee {
 public:
  explicit SteppedChild(const std::function<void()>& operation);  // throws Error

  using Forked::pid;
  void kill();  // SIGKILL, and waits for the end
};

// Visits the instructions of an operation, one victim for each, until one comes to rest: its end,
// or a sleep. It remembers the way that the victims took, so that the next one runs to the
// neighbourhood of its instruction and steps only from there: to the latest place before it that is
// reached there for the first time. A victim on another way (another number of turns in a loop) is
// followed on that one from there on.
class Sweep {
 public:
  explicit Sweep(std::size_t stride = 1) : stride_{stride} {}

  // Whether there is an instruction left that has not been tried. If not, prints how many were.
  bool next();

  // Lets a victim that stands where the others stood execute so many instructions as it is its
  // turn to.
  void advance(Tracee& victim);

  std::size_t instructions() const noexcept { return count_; }      // executed by the last victim
  Tracee::Progress progress() const noexcept { return progress_; }  // of the last victim

 private:
  void remember(std::size_t index, std::uintptr_t address);
  void forget_from(std::size_t index);

  std::size_t stride_;
  std::size_t count_ = 0;
  bool begun_ = false;
  bool lost_ = false;
  Tracee::Progress progress_ = SteppedChild::Progress::inside;
  std::vector<std::uintptr_t> way_;   // where a victim stands after so many instructions
  std::vector<std::size_t> anchors_;  // for each, the last one before that is a first visit
  std::unordered_map<std::uintptr_t, std::size_t> first_visits_;
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
