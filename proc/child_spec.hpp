// What a supervisor has to know of a child.
//
//   ChildSpec worker{.name = "worker", .body = serve, .options = {.nice = 5}};
//   worker.restart_type = RestartType::transient;
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "proc/child_context.hpp"
#include "proc/child_options.hpp"
#include "proc/escalation.hpp"
#include "proc/restart_policy.hpp"

namespace procpool::proc {

// Whether a child that has ended unasked is started again, in the words of OTP's supervisor(3).
enum class RestartType {
  permanent,  // always
  transient,  // only after an abnormal end: every one but exit code 0 after it was ready
  temporary,  // never, whatever happens to others
};

// A value.
struct ChildSpec {
  std::string name{};
  std::function<int(ChildContext&)> body{};  // runs in the child; its result is the exit code

  // The child closes every descriptor but 0, 1, 2, its context's, and options.keep_only (unset:
  // none).
  ChildOptions options{};

  // Runs in the supervisor before each fork, with what the process will start with and its slot: it
  // can have something of its own. The text of an Error is the reason why it did not start.
  std::function<void(ChildOptions& options, int slot)> before_fork{};

  std::chrono::milliseconds ready_within{10'000};
  RestartPolicy restart{};  // how soon, and how often
  RestartType restart_type = RestartType::permanent;

  // A watchdog: once ready, it calls ChildContext::alive() at least so often, or it is ended by
  // `stop` and counts as one that has exited abnormally. If the supervisor itself was not running
  // meanwhile (both were stopped, SIGSTOP), it has as long again. Unset: none.
  std::optional<std::chrono::milliseconds> alive_within{};

  // How it is ended when that is the supervisor's own decision: its watchdog says so, another
  // child's death asks for it (Strategy), or the generation gives up.
  Escalation stop{{SIGTERM, std::chrono::seconds{5}}, {SIGKILL, kForever}};
};

}  // namespace procpool::proc
