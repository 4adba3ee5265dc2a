// How a task can fail that did not throw: what a Future's get() throws then.
//
//   try {
//     page = future.get();
//   } catch (const WorkerDied& death) {
//     log(death.status()->text(), death.last_line());      // "killed by SIGSEGV"
//   } catch (const RemoteError& error) {
//     log(error.type_name(), error.what());                // a type that the pool does not know
//   }
#pragma once

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "ipc/base/error.hpp"
#include "proc/exit_status.hpp"

namespace procpool::proc {

// The worker that had this task in hand has died, by the task's doing or not. A task that was
// marked idempotent has been tried again before.
class WorkerDied : public Error {
 public:
  WorkerDied(std::optional<ExitStatus> status, std::string last_line)
      : Error{"task", {}, reason(status, last_line)},
        status_{status},
        last_line_{std::move(last_line)} {}

  const std::optional<ExitStatus>& status() const noexcept { return status_; }  // nullopt: unknown
  // The last line that the worker wrote to its standard error; empty: none.
  const std::string& last_line() const noexcept { return last_line_; }

 private:
  static std::string reason(const std::optional<ExitStatus>& status, const std::string& line) {
    return "its worker has died: " + (status ? status->text() : "nobody knows how") +
           (line.empty() ? "" : ": " + line);
  }

  std::optional<ExitStatus> status_;
  std::string last_line_;
};

// The task ran longer than its TaskOptions::deadline; its worker was killed for it.
class DeadlineExceeded : public Error {
 public:
  DeadlineExceeded() : Error{"task", {}, "it ran longer than its deadline"} {}
};

// The task was cancelled, or its pool ended, before it had come to its end.
class Cancelled : public Error {
 public:
  Cancelled() : Error{"task", {}, "it was cancelled"} {}
};

// No worker can be started at present, for the reason that is told.
class PoolUnavailable : public Error {
 public:
  explicit PoolUnavailable(const std::string& reason) : Error{"task", "pool", reason} {}
};

// An exception that a task threw, of a type that is neither standard nor registered with the pool.
class RemoteError : public std::runtime_error {
 public:
  RemoteError(std::string type_name, const std::string& text)
      : std::runtime_error{text}, type_name_{std::move(type_name)} {}

  const std::string& type_name() const noexcept { return type_name_; }  // as in the source

 private:
  std::string type_name_;
};

}  // namespace procpool::proc
