// Processes that do tasks: they survive their tasks, and the pool survives them.
//
//   Pool pool{4};
//   Future<int> answer = pool.submit(&slow, 42);
//   for (Page& page : pool.map(&render, names)) show(page);
//   int sum = pool.apply([](int a, int b) { return a + b; }, 1, 2);
//   answer.get();                                        // what slow() threw comes back as itself
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "ipc/base/deadline.hpp"
#include "proc/call.hpp"
#include "proc/detail/scheduler.hpp"
#include "proc/exception_type.hpp"
#include "proc/future.hpp"
#include "proc/mapping.hpp"
#include "proc/nursery.hpp"
#include "proc/pool_error.hpp"
#include "proc/restart_policy.hpp"
#include "proc/task_options.hpp"

namespace procpool::proc {

namespace detail {
class Crew;
}

// A value.
struct PoolOptions {
  int workers = 0;             // 0: as many as there are CPUs (available_cpus())
  std::string name{"worker"};  // as ps(1) shows them

  // Called in each worker before it takes tasks. One that throws counts as a worker that could not
  // be started.
  std::optional<Call> initializer{};

  std::vector<ExceptionType>
      exceptions{};  // that come back as themselves, beside the standard ones

  // A worker is replaced after so many calls, or, after a task, when it has more memory resident; 1
  // or more. Unset: never.
  std::optional<std::uint64_t> most_tasks{};
  std::optional<std::uint64_t> most_resident_bytes{};

  int nice = 0;             // added to this process's
  std::vector<int> cpus{};  // each worker has one of them, in turns; empty: it has all

  // Tasks that are not settled; at this number submit() waits. Rounded up to a power of two.
  std::uint32_t queue_capacity = 65536;

  RestartPolicy restart{};  // of workers that could not be started; it never gives up
};

// For one thread at a time, of the process that made it. There is no thread of its own: results
// are taken in, and dead workers replaced, in the calls that wait (get(), map ...) and in step().
// Workers go on meanwhile with what is submitted. A pool in a child of fork owns nothing: it can
// only be destroyed. A task may make a pool itself.
//
// Workers are copies of the program as it was when the pool was made, or its nursery, in process
// groups of their own. They end with the pool, and when this process ends, however it does. What
// they write to stdout by stdio is flushed when they have nothing to do.
//
// A task that ends its worker, by exit, a signal or overflowing its stack, fails with WorkerDied;
// calls of the same chunk that were done keep their results, those after it are given to another
// worker. Each task is settled once. While no worker can be started, tasks fail with
// PoolUnavailable, and it is tried again as `restart` says.
//
// What tasks throw comes back as the same type if it is Error, one of the standard exceptions or
// one of PoolOptions::exceptions; otherwise as RemoteError with the type's name. A thread that a
// task leaves lives as long as its worker; a process that it leaves is killed when a worker ends.
//
// Functions, arguments and results travel in shared memory: call.hpp says what can be called.
class Pool {
 public:
  explicit Pool(int workers) : Pool{with_workers(workers)} {}

  // With a nursery of its own. Throws Error: other threads run already. Returns when the workers
  // are forked.
  explicit Pool(const PoolOptions& options = {});
  Pool(const PoolOptions& options, Nursery& nursery);  // which must outlive it
  Pool(Pool&&) noexcept;
  Pool& operator=(Pool&&) noexcept;
  ~Pool();  // terminate()

  // Waits while the queue is full. Throws Error when the pool is closed, and for what lies in no
  // program or library; a library that the workers do not have fails the task with Error.
  template <Callable F, typename... Args>
  Future<ResultOf<F, Args...>> submit(const F& function, const Args&... args) {
    return submit(TaskOptions{}, function, args...);
  }
  template <Callable F, typename... Args>
  Future<ResultOf<F, Args...>> submit(const TaskOptions& options, const F& function,
                                      const Args&... args) {
    return *submit_until(Deadline::never(), options, function, args...);
  }

  // The same, but nullopt when the queue is still full at the deadline.
  template <Callable F, typename... Args>
  std::optional<Future<ResultOf<F, Args...>>> submit_until(Deadline deadline,
                                                           const TaskOptions& options,
                                                           const F& function, const Args&... args) {
    using R = ResultOf<F, Args...>;
    using Function = std::decay_t<F>;
    auto state = std::make_shared<detail::FutureState<R>>(scheduler_);
    pieces_.clear();
    const Function& callee = function;  // a function as a pointer to it
    pieces_.add_call<detail::Sent<Args>...>(images_, callee, args...);
    const auto ticket = scheduler_->submit(
        {detail::thunk_for<Function, detail::Sent<Args>...>(), pieces_, 1, 0, options}, state,
        deadline);
    if (!ticket) return std::nullopt;
    state->ticket = *ticket;
    return Future<R>{std::move(state)};
  }
  template <Callable F, typename... Args>
  auto try_submit(const F& function, const Args&... args) {
    return submit_until(Deadline::now(), {}, function, args...);
  }

  // Calls and waits for the result.
  template <Callable F, typename... Args>
  ResultOf<F, Args...> apply(const F& function, const Args&... args) {
    return submit(function, args...).get();
  }

  // Calls the function with each element; see mapping.hpp.
  template <Callable F, std::ranges::input_range Range>
  auto map(const F& function, Range&& range, const MapOptions& options = {}) {
    using Caller = CallerFor<F, Range>;
    return mapping<Caller, detail::OrderedResults<typename Caller::Result>>(
        Caller{function}, std::forward<Range>(range), options);
  }
  template <Callable F, std::ranges::input_range Range>
  auto map_unordered(const F& function, Range&& range, const MapOptions& options = {}) {
    using Caller = CallerFor<F, Range>;
    return mapping<Caller, detail::UnorderedResults<typename Caller::Result>>(
        Caller{function}, std::forward<Range>(range), options);
  }
  // With each element, a tuple or pair, as the arguments.
  template <Callable F, std::ranges::input_range Range>
  auto starmap(const F& function, Range&& range, const MapOptions& options = {}) {
    using Caller = detail::CallWithAll<std::decay_t<F>, std::ranges::range_value_t<Range>>;
    return mapping<Caller, detail::OrderedResults<typename Caller::Result>>(
        Caller{function}, std::forward<Range>(range), options);
  }

  // Calls the function with each element and drops the results; tells how many are done. Does all
  // of them, then throws what the first one that failed, in the order of the range, threw.
  template <Callable F, std::ranges::input_range Range>
  void for_each(const F& function, Range&& range,
                const std::function<void(std::size_t)>& progress = {},
                const MapOptions& options = {}) {
    std::size_t done = 0;
    std::size_t first = 0;
    std::exception_ptr failure;
    for (auto& one : map_unordered(function, std::forward<Range>(range), options)) {
      if (!one.result.ok() && (!failure || one.index < first)) {
        failure = one.result.failure();
        first = one.index;
      }
      ++done;
      if (progress) progress(done);
    }
    if (failure) std::rethrow_exception(failure);
  }

  // For a loop of one's own: when fd() is readable, step(), which does what can be done now. To be
  // called once before, too.
  int fd() const { return scheduler_->fd(); }
  void step() { scheduler_->step(); }

  void close() noexcept { scheduler_->close(); }  // submit() throws from here on
  void shutdown();   // close(), waits until all is settled and the workers have ended
  void terminate();  // close(), kills the workers; what is not settled fails with Cancelled

  std::vector<pid_t> worker_pids() const;  // of those that are there; they may come and go
  std::size_t unsettled() const { return scheduler_->unsettled(); }  // tasks; a chunk is one

 private:
  static PoolOptions with_workers(int workers);
  void start(const PoolOptions& options, Nursery& nursery);

  template <typename F, typename Range>
  using CallerFor = detail::CallWithOne<std::decay_t<F>, std::ranges::range_value_t<Range>>;

  template <typename Caller, typename Results, typename Range>
  auto mapping(Caller caller, Range&& range, const MapOptions& options) {
    using View = std::views::all_t<Range>;
    return Mapping<View, Caller, Results>{scheduler_, workers_,
                                          std::views::all(std::forward<Range>(range)),
                                          std::move(caller), options};
  }

  std::unique_ptr<Nursery> own_nursery_;
  std::shared_ptr<detail::Scheduler> scheduler_;
  detail::Crew* crew_ = nullptr;  // the scheduler's transport
  std::size_t workers_ = 0;
  detail::ImageTable images_;
  detail::Pieces pieces_;
};

}  // namespace procpool::proc
