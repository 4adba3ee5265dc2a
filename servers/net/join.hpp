// Several coroutines beside each other, until all of them have ended.
//
//   std::vector<Task<>> both;
//   both.push_back(copy(client, server));
//   both.push_back(copy(server, client));
//   co_await join_all(std::move(both));
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <utility>
#include <vector>

#include "servers/net/task.hpp"

namespace procpool::net {

namespace detail {

// Awaited, the end of all tasks of a group.
class AllEnded {
 public:
  explicit AllEnded(std::size_t running) noexcept : running_{running} {}

  // The last step of each task. The one that is the last of all resumes who waits, and may be
  // destroyed by that where it is: nothing of it is touched afterwards.
  struct Arrival {
    AllEnded& all;
    bool await_ready() const noexcept { return --all.running_ > 0 || !all.waiter_; }
    void await_suspend(std::coroutine_handle<>) const { all.waiter_.resume(); }
    void await_resume() const noexcept {}
  };
  Arrival arrive() noexcept { return {*this}; }

  bool await_ready() const noexcept { return running_ == 0; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept { waiter_ = waiter; }
  void await_resume() const noexcept {}

 private:
  std::size_t running_;
  std::coroutine_handle<> waiter_;
};

inline Task<> run_to_end(Task<> task, AllEnded& all, std::exception_ptr& first_problem) {
  try {
    co_await std::move(task);
  } catch (...) {
    if (!first_problem) first_problem = std::current_exception();
  }
  co_await all.arrive();
}

}  // namespace detail

// Starts them in this order, and ends when the last one does; then throws what left one of them
// first. Destroyed while it waits, it destroys those that still run.
inline Task<> join_all(std::vector<Task<>> tasks) {
  detail::AllEnded all{tasks.size()};
  std::exception_ptr problem;
  {
    TaskGroup group{[](const std::exception_ptr&) {}};
    for (Task<>& task : tasks) group.spawn(detail::run_to_end(std::move(task), all, problem));
    co_await all;
  }
  if (problem) std::rethrow_exception(problem);
}

}  // namespace procpool::net
