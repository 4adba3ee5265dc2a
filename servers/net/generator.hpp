// A coroutine that yields values, one at a time, and may wait between them.
//
//   Generator<int> ticks(Loop& loop) {
//     for (int i = 0;; ++i) { co_yield i; co_await sleep_until(loop, Deadline::in(1s)); }
//   }
//   while (std::optional<int> tick = co_await generator.next()) show(*tick);
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace procpool::net {

// Starts when its first value is asked for, and goes on when the next one is: it is never ahead of
// its reader by more than one value. Destroying it destroys the coroutine where it waits. For one
// thread. The arguments of the coroutine live as long as it; what a lambda has captured lives as
// long as the lambda, so give it arguments instead.
template <typename T>
class [[nodiscard]] Generator {
 public:
  struct promise_type;
  class Next;

  Generator(Generator&& other) noexcept : frame_{std::exchange(other.frame_, nullptr)} {}
  Generator& operator=(Generator&& other) noexcept {
    std::swap(frame_, other.frame_);
    return *this;
  }
  ~Generator() {
    if (frame_) frame_.destroy();
  }

  // Awaited, the next value, or nullopt at the end; throws, once, what left the coroutine. An
  // awaiter that is destroyed while it waits loses nothing: the next one gets its value.
  Next next() noexcept { return Next{frame_}; }

 private:
  using Frame = std::coroutine_handle<promise_type>;
  explicit Generator(Frame frame) noexcept : frame_{frame} {}
  Frame frame_;
};

template <typename T>
struct Generator<T>::promise_type {
  // Resuming the reader may destroy this frame: nothing of it is touched afterwards.
  struct TellReader {
    bool await_ready() const noexcept { return false; }
    void await_suspend(Frame self) const noexcept {
      self.promise().waits_itself = false;
      if (const auto waiting = std::exchange(self.promise().reader, nullptr)) waiting.resume();
    }
    void await_resume() const noexcept {}
  };

  Generator get_return_object() noexcept { return Generator{Frame::from_promise(*this)}; }
  std::suspend_always initial_suspend() const noexcept { return {}; }
  TellReader final_suspend() const noexcept { return {}; }
  TellReader yield_value(T next) {
    value.emplace(std::move(next));
    return {};
  }
  void return_void() const noexcept {}
  void unhandled_exception() noexcept { exception = std::current_exception(); }

  std::optional<T> value;
  std::exception_ptr exception;
  std::coroutine_handle<> reader;  // null until it waits
  bool waits_itself = false;       // for something else than its reader
};

template <typename T>
class Generator<T>::Next {
 public:
  explicit Next(Frame frame) noexcept : frame_{frame} {}
  Next(const Next&) = delete;
  Next& operator=(const Next&) = delete;
  ~Next() {
    if (waits_) frame_.promise().reader = nullptr;
  }

  bool await_ready() const noexcept { return frame_.done() || frame_.promise().value; }
  bool await_suspend(std::coroutine_handle<> reader) {
    promise_type& promise = frame_.promise();
    if (!std::exchange(promise.waits_itself, true)) frame_.resume();
    waits_ = promise.waits_itself;
    if (waits_) promise.reader = reader;
    return waits_;
  }
  std::optional<T> await_resume() {
    promise_type& promise = frame_.promise();
    waits_ = waits_ && promise.waits_itself;
    if (promise.exception) std::rethrow_exception(std::exchange(promise.exception, nullptr));
    return std::exchange(promise.value, std::nullopt);
  }

 private:
  Frame frame_;
  bool waits_ = false;
};

}  // namespace procpool::net
