// What a process and all that descend from it use, as the kernel counts it.
//
//   const TreeUse before = use_of_tree(server.pid());
//   ...
//   const auto spent = use_of_tree(server.pid()).processor_time - before.processor_time;
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>

namespace procpool::server_demo {

struct TreeUse {
  // User and system, of those that have ended, too. Exact for processes that live; the ended ones
  // are known in ticks of 10 ms: proc(5).
  std::chrono::nanoseconds processor_time{0};
  std::uint64_t context_switches = 0;  // of threads that live
  unsigned processes = 0;
  unsigned threads = 0;
};

// For trees in which the first thread of a process makes its children.
TreeUse use_of_tree(pid_t root);

// The proportional set size: a page that n processes share counts as an n-th in each. Without what
// the kernel keeps for them: sockets, tables of pages.
std::uint64_t memory_of_tree(pid_t root);

}  // namespace procpool::server_demo
