#include <array>

#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

constexpr std::array kScenarios{&zombie_scenario,    &orphan_scenario,      &wait_scenario,
                                &exit_scenario,      &fork_fd_scenario,     &sigchld_scenario,
                                &signals_scenario,   &double_fork_scenario, &subreaper_scenario,
                                &pdeathsig_scenario, &states_scenario,      &session_scenario,
                                &exec_scenario,      &tree_scenario,        &alarm_scenario,
                                &priority_scenario,  &fork_cow_scenario,    &daemon_scenario,
                                &pool_scenario,      &supervisor_scenario,  &matrix_scenario};

}  // namespace

std::span<const Scenario* const> scenarios() {
  return kScenarios;
}

}  // namespace procpool::proc_demo
