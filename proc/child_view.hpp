// A child as its supervisor sees it now.
//
//   for (const ChildView& child : supervisor.children()) print(child.name, child.pid);
#pragma once

#include <sys/types.h>

#include <string>

#include "ipc/base/deadline.hpp"
#include "proc/supervisor_status.hpp"

namespace procpool::proc {

// A value.
struct ChildView {
  std::string name;
  int slot = -1;  // -1: no process now (backing off)
  pid_t pid = 0;
  int generation = 0;
  ChildState state = ChildState::idle;
  Deadline::Clock::time_point started{};  // of the process; of the last one when backing off
  int restarts = 0;
};

}  // namespace procpool::proc
