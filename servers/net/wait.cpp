#include "servers/net/wait.hpp"

namespace procpool::net {

// What is resumed may destroy this: nothing of it is touched afterwards.
void Wait::await_suspend(std::coroutine_handle<> waiter) {
  const auto wake = [this, waiter](bool is_ready) {
    ready_ = is_ready;
    watch_.reset();
    timer_.reset();
    waiter.resume();
  };
  if (fd_ >= 0) watch_.emplace(loop_, fd_, interest_, [wake](const Readiness&) { wake(true); });
  timer_.emplace(loop_, [wake] { wake(false); });
  timer_->set(deadline_);
}

}  // namespace procpool::net
