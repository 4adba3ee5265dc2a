// What coroutines wait for beside connections: time, and descriptors.
//
//   co_await sleep_until(loop, Deadline::in(1s));
//   if (!co_await ready(loop, pipe.fd(), Interest::read, Deadline::in(5s))) co_return;   // too
//   late
#pragma once

#include <coroutine>
#include <optional>

#include "ipc/base/deadline.hpp"
#include "ipc/base/loop.hpp"

namespace procpool::net {

// An awaitable; awaited, whether the descriptor was ready (or had an error or a hang-up) before the
// deadline. Allocates two call-backs. For the loop's thread; it may be destroyed while it waits.
class [[nodiscard]] Wait {
 public:
  Wait(Loop& loop, int fd, Interest interest, Deadline deadline) noexcept
      : loop_{loop}, fd_{fd}, interest_{interest}, deadline_{deadline} {}
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter);
  bool await_resume() const noexcept { return ready_; }

 private:
  Loop& loop_;
  int fd_;  // -1: none
  Interest interest_;
  Deadline deadline_;
  bool ready_ = false;
  std::optional<Loop::Watch> watch_;
  std::optional<Loop::Timer> timer_;
};

// The descriptor must be one that epoll(7) takes, no other watch of the loop may have it, and it
// must stay open meanwhile.
inline Wait ready(Loop& loop, int fd, Interest interest, Deadline deadline) noexcept {
  return {loop, fd, interest, deadline};
}

// Awaited, it says false.
inline Wait sleep_until(Loop& loop, Deadline deadline) noexcept {
  return {loop, -1, Interest::none, deadline};
}

}  // namespace procpool::net
