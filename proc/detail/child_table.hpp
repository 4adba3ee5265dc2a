// The children of a supervisor, oldest first.
//
//   ChildTable table;
//   table.add({.name = "worker", .body = serve}, 1);
//   for (SupervisedChild& child : table.all()) ...
#pragma once

#include <memory>
#include <ranges>
#include <set>
#include <vector>

#include "proc/child_view.hpp"
#include "proc/detail/supervised_child.hpp"

namespace procpool::proc::detail {

// Owns them; they stay where they are in memory until they are removed.
class ChildTable {
 public:
  SupervisedChild& add(ChildSpec spec, int generation);
  std::set<int> remove_ended();  // the generations whose last child that was

  auto all() const {
    return children_ |
           std::views::transform([](const auto& child) -> SupervisedChild& { return *child; });
  }
  auto of(int generation) const {
    return all() | std::views::filter([generation](const SupervisedChild& child) {
             return child.generation == generation;
           });
  }
  bool empty() const noexcept { return children_.empty(); }
  std::size_t size() const noexcept { return children_.size(); }

  SupervisedChild* with_process(pid_t pid) const;         // that is not reaped; nullptr: none
  SupervisedChild* newest_staying(int generation) const;  // nullptr: all are leaving

  int lowest_free_slot() const;
  Deadline next_due() const;

  std::vector<ChildView> views() const;
  std::vector<ShownChild> shown() const;  // as far as SupervisorStatus::kMostShown goes

 private:
  std::vector<std::unique_ptr<SupervisedChild>> children_;
};

}  // namespace procpool::proc::detail
