#include <array>

#include "tools/ipc_demo/scenario.hpp"

namespace procpool::demo {
namespace {

constexpr std::array kScenarios{
    &pipe_scenario,      &fifo_scenario,          &channel_scenario,       &queue_scenario,
    &broadcast_scenario, &message_queue_scenario, &shared_memory_scenario, &heap_scenario,
    &mutex_scenario,     &semaphore_scenario,     &event_scenario,         &condition_scenario,
    &barrier_scenario,   &signal_scenario};

}  // namespace

std::span<const Scenario* const> scenarios() {
  return kScenarios;
}

}  // namespace procpool::demo
