#include "proc/detail/child_table.hpp"

#include <algorithm>
#include <utility>

namespace procpool::proc::detail {

SupervisedChild& ChildTable::add(ChildSpec spec, int generation) {
  return *children_.emplace_back(std::make_unique<SupervisedChild>(std::move(spec), generation));
}

std::set<int> ChildTable::remove_ended() {
  std::set<int> gone;
  std::erase_if(children_, [&](const auto& child) {
    if (child->state != ChildState::ended) return false;
    gone.insert(child->generation);
    return true;
  });
  std::erase_if(gone, [&](int generation) { return !of(generation).empty(); });
  return gone;
}

SupervisedChild* ChildTable::with_process(pid_t pid) const {
  for (SupervisedChild& child : all()) {
    if (child.run && !child.status && child.pid() == pid) return &child;
  }
  return nullptr;
}

SupervisedChild* ChildTable::newest_staying(int generation) const {
  for (SupervisedChild& child : all() | std::views::reverse) {
    if (child.generation == generation && !child.is_leaving()) return &child;
  }
  return nullptr;
}

int ChildTable::lowest_free_slot() const {
  std::vector<bool> taken(children_.size() + 1);
  for (const SupervisedChild& child : all()) {
    if (child.run) taken[static_cast<std::size_t>(child.slot)] = true;
  }
  return static_cast<int>(std::find(taken.begin(), taken.end(), false) - taken.begin());
}

Deadline ChildTable::next_due() const {
  Deadline next = Deadline::never();
  for (const SupervisedChild& child : all()) next = std::min(next, child.due);
  return next;
}

std::vector<ChildView> ChildTable::views() const {
  std::vector<ChildView> views;
  views.reserve(children_.size());
  for (const SupervisedChild& child : all()) {
    views.push_back({.name = child.spec.name,
                     .slot = child.run ? child.slot : kNoSlot,
                     .pid = child.pid(),
                     .generation = child.generation,
                     .state = child.state,
                     .started = child.started,
                     .restarts = child.restarts});
  }
  return views;
}

std::vector<ShownChild> ChildTable::shown() const {
  std::vector<ShownChild> rows;
  for (const SupervisedChild& child : all() | std::views::take(SupervisorStatus::kMostShown)) {
    rows.push_back({.name = child.spec.name,
                    .pid = child.pid(),
                    .slot = child.slot,
                    .generation = child.generation,
                    .state = child.state,
                    .restarts = child.restarts,
                    .since = child.since});
  }
  return rows;
}

}  // namespace procpool::proc::detail
