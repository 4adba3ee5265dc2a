#include <array>

#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

constexpr std::array kScenarios{&zombie_scenario, &orphan_scenario};

}  // namespace

std::span<const Scenario* const> scenarios() {
  return kScenarios;
}

}  // namespace procpool::proc_demo
