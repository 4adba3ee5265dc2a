// The result of a task, once it is there.
//
//   Future<int> answer = pool.submit(&slow, 42);
//   if (auto early = answer.get_for(10ms)) return *early;
//   Future<std::string> text = std::move(answer).then([](int n) { return std::to_string(n); });
//   for (Future<Page>& page : as_completed(pages)) show(page.get());
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "ipc/base/deadline.hpp"
#include "ipc/base/error.hpp"
#include "ipc/codec.hpp"
#include "proc/detail/scheduler.hpp"
#include "proc/pool_error.hpp"

namespace procpool::proc {

// A result or the exception that came instead. A value.
template <typename R>
class Outcome {
 public:
  explicit Outcome(std::exception_ptr failure) : failure_{std::move(failure)} {}
  template <typename Make>
  static Outcome of(Make make) {  // what it returns or throws
    Outcome outcome{nullptr};
    try {
      if constexpr (std::is_void_v<R>) {
        make();
      } else {
        outcome.value_.emplace(make());
      }
    } catch (...) {
      outcome.failure_ = std::current_exception();
    }
    return outcome;
  }

  bool ok() const noexcept { return failure_ == nullptr; }
  const std::exception_ptr& failure() const noexcept { return failure_; }

  // Throws what the task threw, or WorkerDied, DeadlineExceeded, Cancelled, PoolUnavailable.
  std::add_lvalue_reference_t<R> get() {
    if (!ok()) std::rethrow_exception(failure_);
    if constexpr (!std::is_void_v<R>) return *value_;
  }

 private:
  struct Nothing {};

  std::exception_ptr failure_;
  [[no_unique_address]] std::conditional_t<std::is_void_v<R>, Nothing, std::optional<R>> value_;
};

namespace detail {

template <typename R>
Outcome<R> decode_outcome(View result) {
  return Outcome<R>::of([&] {
    if constexpr (!std::is_void_v<R>) return ipc::Codec<R>::decode(result);
  });
}

class FutureBase : public Sink {
 public:
  explicit FutureBase(std::shared_ptr<Scheduler> pool) : scheduler{std::move(pool)} {}

  virtual bool is_settled() const noexcept = 0;

  // Called soon after it is settled; at once if it is.
  void observe(std::function<void()> observer) {
    if (is_settled()) {
      observer();
    } else {
      observers_.push_back(std::move(observer));
    }
  }

  bool wait_until(Deadline deadline) const {
    return is_settled() || scheduler->drive_until([&] { return is_settled(); }, deadline);
  }

  std::shared_ptr<Scheduler> scheduler;
  Scheduler::Ticket ticket;

 protected:
  void tell_observers() {
    for (auto& observer : observers_) scheduler->call_soon(std::move(observer));
    observers_.clear();
  }

 private:
  std::vector<std::function<void()>> observers_;
};

template <typename R>
class FutureState final : public FutureBase {
 public:
  using FutureBase::FutureBase;

  bool is_settled() const noexcept override { return outcome_.has_value(); }
  bool has_failed() const noexcept { return outcome_ && !outcome_->ok(); }
  void on_value(std::size_t, View result) override { settle(decode_outcome<R>(result)); }
  void on_failure(std::size_t, std::exception_ptr reason) override {
    settle(Outcome<R>{std::move(reason)});
  }
  void settle(Outcome<R> outcome) {
    outcome_.emplace(std::move(outcome));
    tell_observers();
  }

  R take() {
    if (is_taken_) throw Error{"get", "future", "its result has been taken"};
    is_taken_ = true;
    if constexpr (std::is_void_v<R>) {
      outcome_->get();
    } else {
      return std::move(outcome_->get());
    }
  }

 private:
  std::optional<Outcome<R>> outcome_;
  bool is_taken_ = false;
};

// Drives all of them until the condition holds. False: it did not at the deadline.
bool drive_until(std::span<const std::shared_ptr<Scheduler>> schedulers,
                 const std::function<bool()>& condition, Deadline deadline);

}  // namespace detail

// One of a Pool's tasks. For the thread that uses the pool, and no other; in a child of fork it can
// only be destroyed. Move only. Destroying it changes nothing for the task: its result is dropped.
// A future that outlives its pool is settled, by Cancelled if by nothing else.
template <typename R>
class Future {
 public:
  // Waits until the task is settled. Its result, once: a second call throws Error. Throws what the
  // task threw (pool.hpp says which types come back), or WorkerDied, DeadlineExceeded, Cancelled,
  // PoolUnavailable.
  R get() {
    state_->wait_until(Deadline::never());
    return state_->take();
  }

  // The same, if it is settled before the deadline. Of a task without result: whether it was.
  using Timed = std::conditional_t<std::is_void_v<R>, bool, std::optional<R>>;
  Timed get_until(Deadline deadline) {
    if (!state_->wait_until(deadline)) return Timed{};
    if constexpr (std::is_void_v<R>) {
      state_->take();
      return true;
    } else {
      return state_->take();
    }
  }
  Timed get_for(Deadline::Clock::duration duration) { return get_until(Deadline::in(duration)); }

  bool wait_until(Deadline deadline) const { return state_->wait_until(deadline); }

  // get() would not block. Does the pool's work that can be done now.
  bool ready() const {
    if (!state_->is_settled()) state_->scheduler->step();
    return state_->is_settled();
  }

  // True: no worker had it in hand, none will, and get() throws Cancelled. False: too late.
  bool cancel() { return !state_->is_settled() && state_->scheduler->cancel(state_->ticket); }

  // Calls the function with the result, here, when somebody in this thread waits for this pool or
  // calls its step(); at once if the result is there. A failure passes by the function to the
  // future that is returned. The only use of this one afterwards is its destruction.
  template <typename F>
  auto then(F function) && {
    using Next = typename decltype(next_of<F>())::type;
    auto next = std::make_shared<detail::FutureState<Next>>(state_->scheduler);
    state_->observe([from = state_, next, function = std::move(function)]() mutable {
      next->settle(Outcome<Next>::of([&]() -> Next {
        if constexpr (std::is_void_v<R>) {
          from->take();
          return function();
        } else {
          return function(from->take());
        }
      }));
    });
    return Future<Next>{std::move(next)};
  }

  // The pool's: readable when ready() may have become true, after it was called.
  int fd() const { return state_->scheduler->fd(); }

  // For Pool, wait() and as_completed().
  explicit Future(std::shared_ptr<detail::FutureState<R>> state) : state_{std::move(state)} {}
  const std::shared_ptr<detail::FutureState<R>>& state() const noexcept { return state_; }

 private:
  template <typename F>
  static auto next_of() {
    if constexpr (std::is_void_v<R>) {
      return std::type_identity<std::decay_t<std::invoke_result_t<F&>>>{};
    } else {
      return std::type_identity<std::decay_t<std::invoke_result_t<F&, R>>>{};
    }
  }

  std::shared_ptr<detail::FutureState<R>> state_;
};

enum class WaitFor { all, any, first_failure };  // which is as all, if none fails

namespace detail {

// The indices of futures, in the order in which they are settled.
template <typename R>
class Settlements {
 public:
  explicit Settlements(std::span<Future<R>> futures) : done_{std::make_shared<Seen>()} {
    for (std::size_t i = 0; i < futures.size(); ++i) {
      const auto& state = futures[i].state();
      if (std::find(pools_.begin(), pools_.end(), state->scheduler) == pools_.end()) {
        pools_.push_back(state->scheduler);
      }
      state->observe([all = done_, i, state] {
        all->done.push_back(i);
        if (state->has_failed()) all->any_failed = true;
      });
    }
  }

  std::deque<std::size_t>& done() noexcept { return done_->done; }
  bool wait_for(std::size_t count, WaitFor what, Deadline deadline) {
    const auto is_there = [&] {
      return done_->done.size() >= count || (what == WaitFor::first_failure && done_->any_failed);
    };
    return is_there() || drive_until(pools_, is_there, deadline);
  }

 private:
  struct Seen {
    std::deque<std::size_t> done;
    bool any_failed = false;
  };
  std::shared_ptr<Seen> done_;
  std::vector<std::shared_ptr<Scheduler>> pools_;
};

}  // namespace detail

// Waits until all are settled, or any is, or one has failed, or the deadline has passed; returns
// the indices of those that are settled, in the order in which it was seen. They may belong to
// several pools.
template <typename R>
std::vector<std::size_t> wait(std::vector<Future<R>>& futures, WaitFor what = WaitFor::all,
                              Deadline deadline = Deadline::never()) {
  detail::Settlements<R> settled{futures};
  const std::size_t enough = what == WaitFor::any && !futures.empty() ? 1 : futures.size();
  settled.wait_for(enough, what, deadline);
  return {settled.done().begin(), settled.done().end()};
}

// The futures, each when it is settled. A range to go through once; the futures must live as long
// and stay where they are.
template <typename R>
class AsCompleted {
 public:
  AsCompleted(std::span<Future<R>> futures, Deadline deadline)
      : futures_{futures}, settled_{futures}, left_{futures.size()}, deadline_{deadline} {}

  class Iterator {
   public:
    using value_type = Future<R>;
    using difference_type = std::ptrdiff_t;
    explicit Iterator(AsCompleted& all) : all_{&all} { all.await(); }
    Future<R>& operator*() const { return all_->futures_[all_->settled_.done().front()]; }
    Iterator& operator++() {
      all_->settled_.done().pop_front();
      --all_->left_;
      all_->await();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const noexcept { return all_->left_ == 0; }

   private:
    AsCompleted* all_;
  };
  Iterator begin() { return Iterator{*this}; }  // throws Error ETIMEDOUT, as ++ does
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  void await() {
    if (left_ != 0 && !settled_.wait_for(1, WaitFor::any, deadline_))
      throw_errno("wait", "future", ETIMEDOUT);
  }

  std::span<Future<R>> futures_;
  detail::Settlements<R> settled_;
  std::size_t left_;
  Deadline deadline_;
};

template <typename R>
AsCompleted<R> as_completed(std::vector<Future<R>>& futures,
                            Deadline deadline = Deadline::never()) {
  return {futures, deadline};
}

}  // namespace procpool::proc
