// What can be seen: one scenario a fact of life of processes.
//
//   for (const Scenario* scenario : scenarios()) std::cout << scenario->name << '\n';
#pragma once

#include <span>
#include <string_view>

#include "tools/proc_demo/stage.hpp"

namespace procpool::proc_demo {

struct Scenario {
  std::string_view name;     // of the subcommand
  std::string_view summary;  // one line
  std::string_view lesson;   // what to remember: three sentences
  void (*play)(Stage&);      // runs in the director, and reaps all that it makes
};

// In the order in which they are listed.
std::span<const Scenario* const> scenarios();

extern const Scenario zombie_scenario;
extern const Scenario orphan_scenario;
extern const Scenario wait_scenario;
extern const Scenario exit_scenario;
extern const Scenario fork_fd_scenario;
extern const Scenario sigchld_scenario;
extern const Scenario signals_scenario;
extern const Scenario double_fork_scenario;
extern const Scenario subreaper_scenario;
extern const Scenario pdeathsig_scenario;
extern const Scenario states_scenario;
extern const Scenario session_scenario;
extern const Scenario exec_scenario;
extern const Scenario tree_scenario;
extern const Scenario alarm_scenario;
extern const Scenario priority_scenario;
extern const Scenario fork_cow_scenario;
extern const Scenario daemon_scenario;
extern const Scenario pool_scenario;
extern const Scenario supervisor_scenario;
extern const Scenario matrix_scenario;

}  // namespace procpool::proc_demo
