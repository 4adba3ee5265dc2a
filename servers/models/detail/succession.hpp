// An upgrade, in the master that is succeeded: from the start of the other program to its word; or,
// in process 1, from its trial to its execution in place.
//
//   Succession succession{loop, {.relieved = [&](pid_t by) { drain(); }, .failed = log}};
//   succession.begin(hooks.upgrade, make_estate);     // USR2
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <spdlog/logger.h>

#include "ipc/base/loop.hpp"
#include "ipc/base/unique_fd.hpp"
#include "proc/exit_status.hpp"
#include "proc/stranger.hpp"
#include "servers/models/inheritance.hpp"

namespace procpool::models::detail {

// At most one successor at a time. It has a minute to be ready, and is killed if it is not; the
// same holds for a trial. For the loop's thread. Destroyed, a successor that has started goes on
// alone.
class Succession {
 public:
  // What comes of it; run by the loop, after which no succession is under way.
  struct Outcomes {
    std::function<void(pid_t)> relieved;
    std::function<void(const std::string& problem)> failed;
  };
  using EstateFor = std::function<Estate(const NextProgram&)>;
  Succession(Loop& loop, Outcomes outcomes);

  // Starts what `upgrade` names, with what `estate_for` it is left. What cannot be is told at once,
  // by Outcomes::failed: there is no such program, or one of the functions throws. In process 1 the
  // estate is asked for when the trial has succeeded; if it can be executed then, that is the end
  // of this program.
  void begin(const std::function<NextProgram()>& upgrade, EstateFor estate_for);
  bool under_way() const noexcept { return successor_ || trial_; }
  pid_t pid() const noexcept;  // while it is: of the process that was started

  // Process 1 tells who of those that it has adopted have ended.
  void look_at(const std::vector<proc::Stranger>& ended);

  // The other program is sent this signal, and not heard any more.
  void end(int signal_number);

 private:
  // What the next program does to find out whether it could start: a process of its own.
  struct Trial {
    NextProgram next;
    EstateFor estate_for;
    UniqueFd said;  // on standard error
    pid_t pid;
    UniqueFd pidfd;
  };

  void start(const NextProgram& next, const Estate& estate);
  void try_out(NextProgram next, EstateFor estate_for);
  void execute(const Trial& trial, const proc::ExitStatus& status);
  void hear();
  void fail(const std::string& problem);
  void forget();

  Loop& loop_;
  Outcomes outcomes_;
  std::optional<Successor> successor_;
  std::optional<Trial> trial_;
  std::optional<Loop::Watch> watch_;
  Loop::Timer patience_;
};

// In the program that has taken the place of one before; with a problem, because the next one could
// not serve.
void log_upgrade_in_place(spdlog::logger& log, const std::string& problem);

}  // namespace procpool::models::detail
