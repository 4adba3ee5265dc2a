// A supervisor that is watched, and bodies for its children.
//
//   Watched watched;
//   watched.start(workers(3));
//   ::kill(watched.pids().front(), SIGKILL);
//   watched.step_until_told(SupervisorEvent::Kind::exited);
#pragma once

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "ipc/base/io.hpp"
#include "proc/signal_mask.hpp"
#include "proc/supervisor.hpp"

namespace procpool::proc {

using Kind = SupervisorEvent::Kind;

inline const Escalation terminate{{SIGTERM, kForever}};
inline const Escalation kill_now{{SIGKILL, kForever}};

// Comes back at once, as often as it dies.
inline constexpr RestartPolicy kEager{.first_delay = std::chrono::milliseconds{0},
                                      .longest_delay = std::chrono::milliseconds{0},
                                      .stable_after = std::chrono::seconds{1},
                                      .intensity = {}};

inline int serve(ChildContext& context) {
  context.ready();
  for (;;) ::pause();
}

inline int never_get_ready(ChildContext&) {
  for (;;) ::pause();
}

// Takes no SIGTERM.
inline int serve_stubbornly(ChildContext& context) {
  const ScopedSignalMask deaf{{SIGTERM}};
  return serve(context);
}

inline ChildSpec worker(std::function<int(ChildContext&)> body = serve) {
  return {.name = "worker", .body = std::move(body), .restart = kEager};
}

inline std::vector<ChildSpec> workers(std::size_t count) {
  return std::vector<ChildSpec>(count, worker());
}

// A supervisor, and all that it has told.
struct Watched {
  explicit Watched(int most_children = Supervisor::kUnlimited)
      : supervisor{[this](const SupervisorEvent& event) { events.push_back(event); },
                   most_children} {}

  template <typename Predicate>
  void step_until(Predicate predicate) {
    while (!predicate()) {
      wait_ready(supervisor.fd(), POLLIN, Deadline::never());
      supervisor.step();
    }
  }

  void step_until_told(Kind kind, std::ptrdiff_t times = 1) {
    step_until([&] { return count(kind) >= times; });
  }

  std::ptrdiff_t count(Kind kind) const {
    return std::count_if(events.begin(), events.end(),
                         [&](const auto& event) { return event.kind == kind; });
  }

  const SupervisorEvent& first(Kind kind) const {
    return *std::find_if(events.begin(), events.end(),
                         [&](const auto& event) { return event.kind == kind; });
  }

  int start(std::vector<ChildSpec> children, const Escalation& retire_old = terminate,
            const GenerationPolicy& policy = {}) {
    const int number = supervisor.start_generation(std::move(children), retire_old, policy);
    step_until([&] { return !supervisor.starting(); });
    supervisor.step();
    return number;
  }

  std::size_t running() const {
    const auto children = supervisor.children();
    return static_cast<std::size_t>(
        std::count_if(children.begin(), children.end(),
                      [](const auto& child) { return child.state == ChildState::running; }));
  }

  std::vector<pid_t> pids() const {
    std::vector<pid_t> pids;
    for (const auto& child : supervisor.children()) pids.push_back(child.pid);
    return pids;
  }

  std::vector<SupervisorEvent> events;
  Supervisor supervisor;
};

}  // namespace procpool::proc
