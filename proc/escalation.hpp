// How a process is made to stop, as data.
//
//   const Escalation graceful{{SIGTERM, 5s}, {SIGKILL, kForever}};
//   ExitStatus status = child.stop(graceful);
#pragma once

#include <signal.h>

#include <chrono>
#include <vector>

namespace procpool::proc {

inline constexpr auto kForever =
    std::chrono::floor<std::chrono::milliseconds>(std::chrono::nanoseconds::max());

// Send this signal, then wait so long before the next step. Each is followed by SIGCONT, because a
// stopped process takes no other signal but SIGKILL.
struct EscalationStep {
  int signal = SIGTERM;
  std::chrono::milliseconds grace = kForever;
};

// The steps in order. After the last one there is nothing left but to wait, whatever its grace.
// Without a step nothing is sent.
using Escalation = std::vector<EscalationStep>;

}  // namespace procpool::proc
