// The children of a supervisor whose process executes another program: they survive that, and the
// next program's supervisor goes on with them.
//
//   Offspring children = supervisor.offspring();      // its descriptors pass to the next program
//   execute(argv, environment, keep);
//   supervisor.adopt(std::move(children));            // there, in the same process
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "ipc/base/unique_fd.hpp"

namespace procpool::proc {

// A value to move.
struct Offspring {
  struct Child {
    std::string name;
    pid_t pid;
    int slot;
    int generation;
  };
  std::vector<Child> children{};
  int generation = 0;  // the newest's number

  // The pipe by which they see that their supervisor's process is dead: ChildContext::life_fd().
  UniqueFd life_reader{};
  UniqueFd life_writer{};
};

}  // namespace procpool::proc
