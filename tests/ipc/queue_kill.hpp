// Kills a process at the instructions of an operation on a queue, and counts what it leaves stuck.
// Compiled against the queue as it is, and against builds of it that are wrong on purpose.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ipc/queue.hpp"
#include "tests/support/single_step.hpp"

namespace procpool::ipc::test_queue {

inline constexpr std::size_t kCapacity = 3;

// Longer than anything takes that goes on; only what is stuck waits for it.
inline constexpr std::chrono::milliseconds kSurvivorPatience{2000};

inline int message(int number, int) {
  return number;
}
inline std::string message(int number, const std::string&) {
  return std::to_string(number);
}

// Whether the survivors can drain, fill and drain it twice, so that they meet the victim's slots.
template <typename T>
bool goes_on(Queue<T>& queue) {
  try {
    while (queue.try_pop()) {
    }
    for (int lap = 0; lap < 2; ++lap) {
      for (int i = 0; i < static_cast<int>(kCapacity); ++i) {
        if (!queue.push_for(message(i, T{}), kSurvivorPatience)) return false;
      }
      if (queue.try_push(message(0, T{}))) return false;
      for (int i = 0; i < static_cast<int>(kCapacity); ++i) {
        if (queue.pop_for(kSurvivorPatience) != message(i, T{})) return false;
      }
      if (queue.try_pop()) return false;
    }
    return true;
  } catch (const Error&) {
    return false;
  }
}

struct Toll {
  std::size_t instructions = 0;
  std::size_t kills = 0;
  std::size_t stuck = 0;
};

// A queue for each kill: what the last one left would hide what the next one does.
template <typename T>
Toll kill_in(const QueueOptions& options, const std::function<void(Queue<T>&)>& prepare,
             const std::function<void(Queue<T>&)>& operation,
             const std::function<bool(Queue<T>&)>& survive = goes_on<T>) {
  Toll toll;
  std::optional<Queue<T>> queue;
  const auto renew = [&] {
    queue.emplace(options);
    prepare(*queue);
  };
  renew();
  operation(*queue);  // once, for the dynamic linker
  renew();
  toll.instructions = test::kill_at_every_instruction([&] { operation(*queue); },
                                                      [&](std::size_t) {
                                                        ++toll.kills;
                                                        if (!survive(*queue)) ++toll.stuck;
                                                        renew();
                                                      });
  return toll;
}

}  // namespace procpool::ipc::test_queue
