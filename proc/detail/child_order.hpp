// Whose turn it is among the children of a generation, and whom a death takes along: StartOrder and
// Strategy, as pure functions.
//
//   while (SupervisedChild* next = next_to_start(table, generation, policy)) start(*next);
#pragma once

#include <vector>

#include "proc/detail/child_table.hpp"
#include "proc/generation_policy.hpp"

namespace procpool::proc::detail {

// An idle child that may start now, or one that waits to be stopped and may be. Nullptr: none.
SupervisedChild* next_to_start(const ChildTable& table, int generation,
                               const GenerationPolicy& policy);
SupervisedChild* next_to_stop(const ChildTable& table, int generation,
                              const GenerationPolicy& policy);

// Who has to stop because this one is dead and comes back.
std::vector<SupervisedChild*> taken_along(const ChildTable& table, const SupervisedChild& dead,
                                          Strategy strategy);

}  // namespace procpool::proc::detail
