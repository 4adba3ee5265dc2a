#include "proc/child_context.hpp"

#include "proc/detail/readiness.hpp"
#include "proc/detail/sign_of_life.hpp"

namespace procpool::proc {

// If nobody is there to read it, life_fd() says so.
void ChildContext::ready() {
  if (!readiness_.valid()) return;
  detail::say_ready(readiness_.fd());
  readiness_.reset();
}

void ChildContext::fail(std::string_view reason) {
  if (!readiness_.valid()) return;
  detail::say_failed(readiness_.fd(), reason);
  readiness_.reset();
}

void ChildContext::alive() noexcept {
  if (life_ != nullptr) life_->give();
}

}  // namespace procpool::proc
