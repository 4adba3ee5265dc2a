// What can be seen: one scenario a mechanism.
//
//   for (const Scenario* scenario : scenarios()) std::cout << scenario->name << '\n';
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "tools/ipc_demo/measure.hpp"
#include "tools/ipc_demo/stage.hpp"

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

extern const Scenario kPipe;
extern const Scenario kFifo;
extern const Scenario kChannel;
extern const Scenario kQueue;
extern const Scenario kBroadcast;
extern const Scenario kMessageQueue;
extern const Scenario kSharedMemory;
extern const Scenario kHeap;
extern const Scenario kMutex;
extern const Scenario kSemaphore;
extern const Scenario kEvent;
extern const Scenario kCondition;
extern const Scenario kBarrier;
extern const Scenario kSignal;

}  // namespace procpool::demo
