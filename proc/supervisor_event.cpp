#include "proc/supervisor_event.hpp"

#include <array>

namespace procpool::proc {

using Kind = SupervisorEvent::Kind;

std::string_view name_of(Kind kind) noexcept {
  constexpr std::array<std::string_view, 15> kNames{"started",
                                                    "ready",
                                                    "start_failed",
                                                    "unresponsive",
                                                    "exited",
                                                    "backing_off",
                                                    "gave_up",
                                                    "not_restarted",
                                                    "retiring",
                                                    "ended",
                                                    "generation_ready",
                                                    "generation_failed",
                                                    "generation_gave_up",
                                                    "generation_gone",
                                                    "orphan_ended"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string SupervisorEvent::text() const {
  const std::string number = std::to_string(generation);
  if (kind == Kind::generation_ready) return "generation " + number + ": ready";
  if (kind == Kind::generation_failed) return "generation " + number + ": failed: " + reason;
  if (kind == Kind::generation_gave_up) return "generation " + number + ": gave up: " + reason;
  if (kind == Kind::generation_gone) return "generation " + number + ": gone";

  if (kind == Kind::orphan_ended) {
    return name + " (process " + std::to_string(pid) + ", an orphan): " + status->text();
  }

  std::string line = name;
  if (pid != 0) {
    line += " (process " + std::to_string(pid) + ", slot " + std::to_string(slot) + ")";
  }
  line += ": ";
  switch (kind) {
    case Kind::start_failed:
      return line + "failed to start: " + reason + (status ? ", " + status->text() : "");
    case Kind::exited:
      return line + status->text() + (reason.empty() ? "" : " (" + reason + ")");
    case Kind::ended:
      return line + (status ? status->text() : "was not running");
    case Kind::unresponsive:
      return line + reason;
    case Kind::backing_off:
      return line + "starts again " +
             (delay.count() == 0 ? "at once" : "in " + std::to_string(delay.count()) + " ms");
    case Kind::gave_up:
      return line + "fails too often, and is not started again";
    case Kind::not_restarted:
      return line + "is not started again";
    case Kind::retiring:
      return line + "told to stop";
    default:
      return line.append(name_of(kind));
  }
}

}  // namespace procpool::proc
