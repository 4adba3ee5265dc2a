#include "proc/detail/child_order.hpp"

#include <algorithm>
#include <ranges>

namespace procpool::proc::detail {

// With another strategy than one_for_one the restart of many is one: nobody starts before all are
// gone that were ended for it, and the delay is over.
SupervisedChild* next_to_start(const ChildTable& table, int generation,
                               const GenerationPolicy& policy) {
  const bool as_one = policy.strategy != Strategy::one_for_one;
  const bool one_by_one = policy.order == StartOrder::one_by_one;
  auto children = table.of(generation);
  if (as_one && std::ranges::any_of(children, &SupervisedChild::holds_up_restart)) return nullptr;
  for (SupervisedChild& child : children) {
    if (child.state == ChildState::idle) return &child;
    if (one_by_one && child.state == ChildState::starting) return nullptr;
  }
  return nullptr;
}

SupervisedChild* next_to_stop(const ChildTable& table, int generation,
                              const GenerationPolicy& policy) {
  const bool one_by_one = policy.order == StartOrder::one_by_one;
  for (SupervisedChild& child : table.of(generation) | std::views::reverse) {
    if (child.state == ChildState::stop_pending) return &child;
    if (one_by_one && child.state == ChildState::stopping) return nullptr;
  }
  return nullptr;
}

std::vector<SupervisedChild*> taken_along(const ChildTable& table, const SupervisedChild& dead,
                                          Strategy strategy) {
  std::vector<SupervisedChild*> others;
  if (strategy == Strategy::one_for_one) return others;
  bool after = strategy == Strategy::one_for_all;
  for (SupervisedChild& child : table.of(dead.generation)) {
    if (&child == &dead) after = true;
    const bool lives = child.state == ChildState::starting || child.state == ChildState::running;
    if (after && lives) others.push_back(&child);
  }
  return others;
}

}  // namespace procpool::proc::detail
