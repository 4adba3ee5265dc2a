// What a Pool is to know of a task.
//
//   pool.submit({.deadline = 5s, .idempotent = true}, &fetch, url);
#pragma once

#include <chrono>
#include <optional>

namespace procpool::proc {

// A value.
struct TaskOptions {
  // How long a call may run, counted from when a worker begins it. A worker that needs longer is
  // killed and replaced, and the task fails with DeadlineExceeded.
  std::optional<std::chrono::milliseconds> deadline{};

  // It may be begun again when its worker has died: up to kMostAttempts times, before it fails with
  // WorkerDied. (A task that no worker had begun is always given to another one.)
  bool idempotent = false;

  static constexpr int kMostAttempts = 5;
};

}  // namespace procpool::proc
