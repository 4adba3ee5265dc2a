// The processes that this one has to reap: its children, and the orphans it adopts as a subreaper.
//
//   kill_and_reap_all();                       // nothing of what was started is left
//   EXPECT_TRUE(await_no_children());          // they ended by themselves, and are reaped now
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "ipc/base/deadline.hpp"

namespace procpool::test {

// Orphans of this process's children become its children from now on: PR_SET_CHILD_SUBREAPER,
// prctl(2). An emulator that does not know it (qemu-user) leaves them to others.
void become_subreaper();  // throws Error

struct Child {
  pid_t pid;
  char state;  // as in proc(5): R, S, T, Z ...
  std::string name;
};

// The children at this moment, from /proc; zombies too. A snapshot: they may come and go.
std::vector<Child> list_children();
std::vector<Child> list_children(pid_t parent);

// "1234 (name, Z), 1235 (name, S)"
std::string describe(const std::vector<Child>& children);

// True if there is any child, also one that is a zombie.
bool has_children();

// SIGKILLs and reaps every child, and those that the dead leave behind, until there is none.
void kill_and_reap_all();

// Waits until every child has ended by itself, and reaps them: for orphans whose parent a test has
// killed. False: some are still alive at the deadline.
bool await_no_children(Deadline deadline);
bool await_no_children();  // for as long as eventually() is patient

}  // namespace procpool::test
