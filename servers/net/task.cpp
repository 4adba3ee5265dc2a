#include "servers/net/task.hpp"

namespace procpool::net {

// A frame that links itself into its group and frees itself at its end.
struct TaskGroup::Runner {
  struct promise_type : Running {
    promise_type(TaskGroup& owner, const Task<>&) noexcept : group{owner} {
      group.running_.push_back(*this);
    }
    promise_type(const promise_type&) = delete;
    promise_type& operator=(const promise_type&) = delete;
    ~promise_type() { group.running_.erase(group.running_.iterator_to(*this)); }

    Runner get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { group.on_error_(std::current_exception()); }

    TaskGroup& group;
  };
};

TaskGroup::Runner TaskGroup::run(TaskGroup&, Task<> task) {
  co_await std::move(task);
}

void TaskGroup::spawn(Task<> task) {
  run(*this, std::move(task));
}

TaskGroup::~TaskGroup() {
  while (!running_.empty()) {
    auto& promise = static_cast<Runner::promise_type&>(running_.front());
    std::coroutine_handle<Runner::promise_type>::from_promise(promise).destroy();
  }
}

}  // namespace procpool::net
