#include <array>

#include "tools/ipc_demo/scenario.hpp"

namespace procpool::demo {
namespace {

constexpr std::array kScenarios{&kPipe, &kChannel, &kQueue, &kSharedMemory, &kMutex, &kSignal};

}  // namespace

std::span<const Scenario* const> scenarios() {
  return kScenarios;
}

}  // namespace procpool::demo
