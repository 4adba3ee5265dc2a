#include <array>

#include "tools/ipc_demo/scenario.hpp"

namespace procpool::demo {
namespace {

constexpr std::array kScenarios{&kPipe,         &kFifo,         &kChannel, &kQueue, &kBroadcast,
                                &kMessageQueue, &kSharedMemory, &kHeap,    &kMutex, &kSemaphore,
                                &kEvent,        &kCondition,    &kBarrier, &kSignal};

}  // namespace

std::span<const Scenario* const> scenarios() {
  return kScenarios;
}

}  // namespace procpool::demo
