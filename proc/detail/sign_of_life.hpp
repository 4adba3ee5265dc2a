// When a child was last alive: in memory that it shares with its supervisor.
#pragma once

#include <atomic>

#include "ipc/base/deadline.hpp"

namespace procpool::proc::detail {

// Made before fork as an ipc::Shared. For all threads of both.
class SignOfLife {
 public:
  using Clock = Deadline::Clock;

  void give() noexcept {
    ticks_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
  }

  Clock::time_point last() const noexcept {
    return Clock::time_point{Clock::duration{ticks_.load(std::memory_order_relaxed)}};
  }

 private:
  std::atomic<Clock::rep> ticks_{0};
};

}  // namespace procpool::proc::detail
