#include "servers/net/task.hpp"

namespace procpool::net {
namespace {

using detail::Promise;

std::coroutine_handle<> frame_of(Promise<void>& promise) {
  return std::coroutine_handle<Promise<void>>::from_promise(promise);
}

}  // namespace

void detail::Promise<void>::tell_the_end() {
  if (group != nullptr) return group->bury(*this);
  PromiseBase::tell_the_end();
}

void TaskGroup::spawn(Task<> task) {
  const auto frame = std::exchange(task.frame_, nullptr);
  frame.promise().group = this;
  running_.push_back(frame.promise());
  frame.resume();
}

void TaskGroup::bury(Promise<void>& ended) {
  if (ended.exception) on_error_(ended.exception);
  running_.erase(running_.iterator_to(ended));
  frame_of(ended).destroy();
}

TaskGroup::~TaskGroup() {
  while (!running_.empty()) {
    Promise<void>& first = running_.front();
    running_.pop_front();
    frame_of(first).destroy();
  }
}

}  // namespace procpool::net
