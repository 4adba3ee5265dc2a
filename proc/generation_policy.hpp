// What binds children that are supervised together: who restarts with whom, in which order.
//
//   supervisor.start_generation({database, cache, web}, stop_plan,
//                               {.strategy = Strategy::rest_for_one,
//                                .order = StartOrder::one_by_one});
#pragma once

#include <chrono>
#include <optional>

namespace procpool::proc {

// Who is started again when a child dies that is started again: OTP's supervisor(3). The others
// are ended first, and all wait until none of them is left and the dead one's delay is over.
enum class Strategy {
  one_for_one,   // it alone
  one_for_all,   // all of its generation
  rest_for_one,  // it and those after it
};

enum class StartOrder {
  together,
  one_by_one,  // each when the one before is ready; they end in reverse order, each when the one
               // after it is gone
};

// What binds the children of a generation, in the order in which they were given. A value.
struct GenerationPolicy {
  Strategy strategy = Strategy::one_for_one;
  StartOrder order = StartOrder::together;

  // The generation gives up, and ends all its children, when more than `at_most` restarts fall into
  // `within`. By the clock, as in OTP, so RestartPolicy's delays count: keep them short against it,
  // or a child that fails for ever is never given up.
  struct Intensity {
    int at_most = 1;
    std::chrono::milliseconds within{5'000};
  };
  std::optional<Intensity> intensity{};  // unset: never
};

}  // namespace procpool::proc
