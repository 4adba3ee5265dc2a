// What a pool's worker does all its life.
#pragma once

#include <cstdint>

#include "ipc/base/unique_fd.hpp"
#include "proc/detail/nursery_protocol.hpp"

namespace procpool::proc::detail {

struct WorkerPlace {
  const WorkerSetup& setup;
  StartRequest who;
  UniqueFd board;
  UniqueFd arena;
  UniqueFd bell;
};

// Takes tasks until there are to be no more, or until it is to be replaced; returns the exit code.
// It waits first until the master has admitted it: until then it touches nothing, and nobody needs
// a proof of its death. It dies with its parent, the nursery. Throws what the initializer throws.
int run_worker(WorkerPlace place);

}  // namespace procpool::proc::detail
