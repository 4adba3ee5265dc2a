// What can be seen: one scenario a mechanism.
//
//   for (const Scenario* scenario : scenarios()) std::cout << scenario->name << '\n';
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "tools/ipc_demo/measure.hpp"
#include "tools/stage.hpp"

namespace procpool::demo {

struct Scenario {
  std::string_view name;     // of the subcommand
  std::string_view summary;  // one line
  std::string_view when;     // to use it: three sentences
  std::string_view killed;   // who is killed, and what that shows: one line
  void (*play)(Stage&);
  void (*kill)(Stage&);
  std::vector<Measurement> (*bench)();  // ours first, then what it is to be compared with
};

// In the order in which they are listed.
std::span<const Scenario* const> scenarios();

extern const Scenario pipe_scenario;
extern const Scenario fifo_scenario;
extern const Scenario channel_scenario;
extern const Scenario queue_scenario;
extern const Scenario broadcast_scenario;
extern const Scenario message_queue_scenario;
extern const Scenario shared_memory_scenario;
extern const Scenario heap_scenario;
extern const Scenario mutex_scenario;
extern const Scenario semaphore_scenario;
extern const Scenario event_scenario;
extern const Scenario condition_scenario;
extern const Scenario barrier_scenario;
extern const Scenario signal_scenario;

}  // namespace procpool::demo
