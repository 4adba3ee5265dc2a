// A supervised child's side: what it knows, and what it tells.
//
//   int serve(ChildContext& context) {
//     if (!open_all()) { context.fail("port 80 is in use"); return 1; }
//     context.ready();
//     while (serve_one()) context.alive();
//     return 0;
//   }
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "ipc/base/unique_fd.hpp"

namespace procpool::proc {

namespace detail {
class SignOfLife;
}

// In the child only, for as long as its body runs. For one thread, but for alive().
class ChildContext {
 public:
  // Start-up is done: told to the supervisor, once. Whoever does not say so within
  // ChildSpec::ready_within is killed.
  void ready();

  // Start-up failed: the reason (its first 4 KB) travels to the supervisor. The body then returns
  // non-zero. An exception that leaves the body before ready() says its text by itself.
  void fail(std::string_view reason);

  // I am well: a watchdog's heart-beat, from any thread of the child. To be given more often than
  // once in alive_within(), counted from ready() on. Costs a look at the clock and a store in
  // shared memory; without a watchdog nothing.
  void alive() noexcept;

  // ChildSpec::alive_within.
  std::optional<std::chrono::milliseconds> alive_within() const noexcept { return alive_within_; }

  // Readable (end of file) when the supervisor's process is dead, however it died. It holds where
  // die_with_parent does not: after the forking thread has ended, and in descendants.
  int life_fd() const noexcept { return life_fd_; }

  int slot() const noexcept { return slot_; }  // see Supervisor
  int generation() const noexcept { return generation_; }

 private:
  friend class Supervisor;
  ChildContext() = default;

  UniqueFd readiness_{};  // closed when all is said
  int life_fd_ = -1;
  int slot_ = -1;
  int generation_ = 0;
  std::optional<std::chrono::milliseconds> alive_within_{};
  detail::SignOfLife* life_ = nullptr;  // shared with the supervisor; nullptr: no watchdog
};

}  // namespace procpool::proc
