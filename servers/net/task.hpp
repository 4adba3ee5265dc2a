// Coroutines that read like blocking code and cost no thread.
//
//   Task<int> next(Stream& stream) { ... co_return number; }
//   Task<> session(Stream stream) { while (...) total += co_await next(stream); }
//   TaskGroup tasks;
//   tasks.spawn(session(std::move(stream)));
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include <boost/intrusive/list.hpp>

namespace procpool::net {

// A coroutine that starts when it is awaited, is awaited once, and is destroyed with this object:
// awaited tasks end with their callers. An exception that leaves it comes out of co_await. For one
// thread.
//
// A child that finishes without suspending does not grow the stack: its awaiter runs it inside
// await_suspend and goes on. (Symmetric transfer would need a tail call, which gcc 12 makes
// neither at -O0 nor under AddressSanitizer.)
template <typename T = void>
class [[nodiscard]] Task;

class TaskGroup;

// What lives as long as one task of a TaskGroup does, in place of a coroutine around it, whose
// frame would be larger: to be destroyed when the task is, after it, and to hear of its failure.
class Companion {
 public:
  Companion() = default;
  Companion(const Companion&) = delete;
  Companion& operator=(const Companion&) = delete;
  virtual ~Companion() = default;

  virtual void failed(const std::exception_ptr& problem) = 0;  // must not throw
};

namespace detail {

struct PromiseBase {
  struct TellTheEnd {
    bool await_ready() const noexcept { return false; }
    // Whoever hears it may destroy this frame: nothing of it is touched afterwards.
    template <typename Promise>
    void await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      self.promise().tell_the_end();
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  TellTheEnd final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { exception = std::current_exception(); }
  void tell_the_end() const {
    if (caller) caller.resume();
  }

  // Null until it waits: a child that never suspends has nobody to resume. One of a group has no
  // caller, but may have a companion, which it owns.
  union {
    std::coroutine_handle<> caller{};
    Companion* companion;
  };
  std::exception_ptr exception;
};

template <typename T>
struct Promise : PromiseBase {
  Task<T> get_return_object() noexcept;
  template <typename U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T take() { return std::move(*value); }
  std::optional<T> value;
};

template <>
struct Promise<void> : PromiseBase, boost::intrusive::list_base_hook<> {
  Task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() const noexcept {}
  void tell_the_end();

  TaskGroup* group = nullptr;  // which has it instead of a caller
};

}  // namespace detail

template <typename T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;

  Task(Task&& other) noexcept : frame_{std::exchange(other.frame_, nullptr)} {}
  Task& operator=(Task&& other) noexcept {
    std::swap(frame_, other.frame_);
    return *this;
  }
  ~Task() {
    if (frame_) frame_.destroy();
  }

  auto operator co_await() && noexcept {
    struct Awaiter {
      std::coroutine_handle<promise_type> child;
      bool await_ready() const noexcept { return false; }
      bool await_suspend(std::coroutine_handle<> caller) const {
        child.resume();
        if (child.done()) return false;
        child.promise().caller = caller;
        return true;
      }
      T await_resume() const {
        if (child.promise().exception) std::rethrow_exception(child.promise().exception);
        return child.promise().take();
      }
    };
    return Awaiter{frame_};
  }

 private:
  friend promise_type;
  friend TaskGroup;
  explicit Task(std::coroutine_handle<promise_type> frame) noexcept : frame_{frame} {}
  std::coroutine_handle<promise_type> frame_;
};

namespace detail {

template <typename T>
Task<T> Promise<T>::get_return_object() noexcept {
  return Task<T>{std::coroutine_handle<Promise>::from_promise(*this)};
}

inline Task<void> Promise<void>::get_return_object() noexcept {
  return Task<void>{std::coroutine_handle<Promise>::from_promise(*this)};
}

}  // namespace detail

// Tasks that run beside each other with nobody awaiting them: the connections of a worker. Owns
// them: what still runs when the group is destroyed is destroyed where it waits. For one thread;
// never moved.
class TaskGroup {
 public:
  // `on_error` hears of each exception that leaves a task; it must not throw.
  explicit TaskGroup(std::function<void(std::exception_ptr)> on_error)
      : on_error_{std::move(on_error)} {}
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  ~TaskGroup();

  // Runs it until it first waits. A companion hears of its exception in the group's place.
  void spawn(Task<> task, std::unique_ptr<Companion> companion = {});
  std::size_t size() const noexcept { return running_.size(); }

 private:
  friend detail::Promise<void>;
  void bury(detail::Promise<void>& ended);
  void destroy(detail::Promise<void>& task);

  boost::intrusive::list<detail::Promise<void>> running_;
  std::function<void(std::exception_ptr)> on_error_;
};

}  // namespace procpool::net
