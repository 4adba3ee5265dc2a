// An upgrade, in the master that is succeeded: from the start of the other program to its word.
//
//   Succession succession{loop, {.relieved = [&](pid_t by) { drain(); }, .failed = log}};
//   succession.begin(hooks.upgrade, make_estate);     // USR2
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

#include "ipc/base/loop.hpp"
#include "servers/models/inheritance.hpp"

namespace procpool::models::detail {

// At most one successor at a time. It has a minute to be ready, and is killed if it is not. For the
// loop's thread. Destroyed, a successor that has started goes on alone.
class Succession {
 public:
  // What comes of it; run by the loop, after which no succession is under way.
  struct Outcomes {
    std::function<void(pid_t)> relieved;
    std::function<void(const std::string& problem)> failed;
  };
  Succession(Loop& loop, Outcomes outcomes);

  // Starts what `upgrade` names, with what `estate_for` it is left. What cannot be is told at once,
  // by Outcomes::failed: there is no such program, one of the functions throws, or this is process
  // 1, which has no place for another one.
  void begin(const std::function<NextProgram()>& upgrade,
             const std::function<Estate(const NextProgram&)>& estate_for);
  bool under_way() const noexcept { return successor_.has_value(); }
  pid_t pid() const noexcept { return successor_->pid(); }  // while it is

  // The other program is sent this signal, and not heard any more.
  void end(int signal_number);

 private:
  void start(const NextProgram& next, const Estate& estate);
  void hear();
  void forget();

  Loop& loop_;
  Outcomes outcomes_;
  std::optional<Successor> successor_;
  std::optional<Loop::Watch> watch_;
  Loop::Timer patience_;
};

}  // namespace procpool::models::detail
