// A proc::Pool for the coroutines of an event loop: they wait for a result, and the loop goes on.
//
//   TaskPool pool{loop, {.workers = 2}};
//   Task<> answer(TaskPool& pool) { const int sum = co_await pool.call(&add_up, numbers); ... }
#pragma once

#include <coroutine>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "ipc/base/loop.hpp"
#include "proc/future.hpp"
#include "proc/nursery.hpp"
#include "proc/pool.hpp"
#include "proc/pool_error.hpp"
#include "proc/task_options.hpp"

namespace procpool::models {

// Awaited, the result of a task; throws what Future::get() throws. Destroyed while it is awaited,
// it cancels the task, if no worker of the pool has it in hand.
template <typename R>
class [[nodiscard]] TaskResult {
 public:
  explicit TaskResult(proc::Future<R> future) : future_{std::move(future)} {}
  TaskResult(const TaskResult&) = delete;
  TaskResult& operator=(const TaskResult&) = delete;
  ~TaskResult() {
    if (!waiter_ || !*waiter_) return;
    *waiter_ = nullptr;
    future_.cancel();
  }

  bool await_ready() const noexcept { return future_.state()->is_settled(); }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = std::make_shared<std::coroutine_handle<>>(waiter);
    future_.state()->observe([place = waiter_] {
      if (const auto waiting = std::exchange(*place, nullptr)) waiting.resume();
    });
  }
  R await_resume() { return future_.get(); }

 private:
  proc::Future<R> future_;
  std::shared_ptr<std::coroutine_handle<>> waiter_;  // null inside: it waits no more
};

// Owns the pool and its place in the loop. Its processes have none of the descriptors of the one
// that makes it, but for the standard ones: so they keep nobody's sockets open. Must outlive what
// waits for its results. For one thread; see Pool for what can be called, and how it fails.
class TaskPool {
 public:
  TaskPool(Loop& loop, const proc::PoolOptions& options)  // throws Error
      : nursery_{std::vector<int>{}},
        pool_{options, nursery_},
        watch_{loop, pool_.fd(), Interest::read, [this](const Readiness&) { pool_.step(); }} {
    pool_.step();
  }

  // Throws PoolUnavailable when its queue is full: it never waits.
  template <proc::Callable F, typename... Args>
  TaskResult<proc::ResultOf<F, Args...>> call(const F& function, const Args&... args) {
    return call(proc::TaskOptions{}, function, args...);
  }
  template <proc::Callable F, typename... Args>
  TaskResult<proc::ResultOf<F, Args...>> call(const proc::TaskOptions& options, const F& function,
                                              const Args&... args) {
    auto future = pool_.submit_until(Deadline::now(), options, function, args...);
    if (!future) throw proc::PoolUnavailable{"its queue is full"};
    return TaskResult<proc::ResultOf<F, Args...>>{std::move(*future)};
  }

  proc::Pool& pool() noexcept { return pool_; }

 private:
  proc::Nursery nursery_;
  proc::Pool pool_;
  Loop::Watch watch_;
};

}  // namespace procpool::models
