#include "servers/net/task.hpp"

#include <memory>
#include <utility>

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

void TaskGroup::spawn(Task<> task, std::unique_ptr<Companion> companion) {
  const auto frame = std::exchange(task.frame_, nullptr);
  frame.promise().group = this;
  frame.promise().companion = companion.release();
  running_.push_back(frame.promise());
  frame.resume();
}

void TaskGroup::bury(Promise<void>& ended) {
  if (ended.exception && ended.companion != nullptr) {
    ended.companion->failed(ended.exception);
  } else if (ended.exception) {
    on_error_(ended.exception);
  }
  destroy(ended);
}

void TaskGroup::destroy(Promise<void>& task) {
  const std::unique_ptr<Companion> companion{task.companion};
  running_.erase(running_.iterator_to(task));
  frame_of(task).destroy();
}

TaskGroup::~TaskGroup() {
  while (!running_.empty()) destroy(running_.front());
}

}  // namespace procpool::net
