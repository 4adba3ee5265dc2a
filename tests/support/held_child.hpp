// Holds a process at a system call of our choice, so that the world changes between two of its
// looks at it.
//
//   for (std::size_t i = 0; hold_at_system_call(i, operation, [&](pid_t pid) { ... }).held; ++i) {
//   }
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>

#include "tests/support/forked.hpp"

namespace procpool::test {

struct Held {
  bool held;      // false: it made fewer system calls
  Ending ending;  // of the child
};

// Forks a child for the operation, whose result is its exit code, and stops it (ptrace(2),
// PTRACE_SYSCALL) where it enters its nth system call, counted from 0. Calls `meanwhile`, which may
// kill it, lets the child go on, and waits for its end. Children of the child run freely.
Held hold_at_system_call(std::size_t nth, const std::function<int()>& operation,
                         const std::function<void(pid_t)>& meanwhile);

}  // namespace procpool::test
