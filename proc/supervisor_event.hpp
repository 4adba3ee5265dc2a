// What a supervisor tells of its children.
//
//   Supervisor supervisor{[](const SupervisorEvent& event) { log(event.text()); }};
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "proc/exit_status.hpp"

namespace procpool::proc {

// A value.
struct SupervisorEvent {
  enum class Kind {
    started,             // forked
    ready,               // said so
    start_failed,        // ended before it was ready, or could not be forked: reason, status
    unresponsive,        // its watchdog found no sign of life: reason; it is told to stop
    exited,              // ended after it was ready, and nobody had asked: status, maybe reason
    backing_off,         // will be started again after delay (also 0)
    gave_up,             // its RestartPolicy says so; it is forgotten
    not_restarted,       // its RestartType says so; it is forgotten
    retiring,            // was told to stop
    ended,               // what was retiring is gone: status (none if it had no process)
    generation_ready,    // all its children are ready: it is the current one
    generation_failed,   // a child failed to start: reason; the older generation serves on
    generation_gave_up,  // its intensity is exceeded: reason; its children are ended
    generation_gone,     // its last child is gone
    orphan_ended,        // one that was adopted (adopt_orphans): name, pid, status
  };
  Kind kind;
  std::string name{};  // of the child; empty for generation_*
  pid_t pid = 0;
  int slot = -1;
  int generation = 0;
  std::optional<ExitStatus> status{};
  std::string reason{};
  std::chrono::milliseconds delay{};

  std::string text() const;  // one line for a log: "worker (process 12, slot 3): killed by SIGSEGV"
};
std::string_view name_of(SupervisorEvent::Kind kind) noexcept;  // "generation_ready", ...

}  // namespace procpool::proc
