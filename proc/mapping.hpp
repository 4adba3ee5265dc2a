// The results of a function that a Pool calls for each element of a range, as they come.
//
//   for (Page& page : pool.map(&render, names)) show(page);                  // in order
//   for (auto& [index, result] : pool.map_unordered(&render, names)) ...     // the first one first
//   std::vector<Page> pages = pool.map(&render, names).get();
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "ipc/base/deadline.hpp"
#include "proc/detail/image_offset.hpp"
#include "proc/detail/scheduler.hpp"
#include "proc/detail/thunk.hpp"
#include "proc/future.hpp"
#include "proc/task_options.hpp"

namespace procpool::proc {

struct MapOptions {
  // How many elements make a task, which one worker does: more of them cost less each, fewer are
  // better shared among workers. 0: as many as leave each worker several tasks.
  std::size_t chunk = 0;
  TaskOptions task{};  // for each call
};

namespace detail {

// Sends the calls for a range's elements, so many ahead of those that are back that the workers
// have always something to do.
template <std::ranges::view View, typename Caller>
class Feeder {
 public:
  Feeder(std::shared_ptr<Scheduler> pool, std::size_t workers, View elements, Caller caller,
         const MapOptions& options)
      : scheduler_{std::move(pool)},
        elements_{std::move(elements)},
        caller_{std::move(caller)},
        options_{options},
        chunk_{options.chunk} {
    if (chunk_ == 0) chunk_ = automatic_chunk(workers);
    most_ahead_ = std::max(kMostTasksAhead, 4 * workers) * chunk_;
    least_ahead_ = 2 * workers * chunk_;
  }
  Feeder(const Feeder&) = delete;
  Feeder& operator=(const Feeder&) = delete;
  ~Feeder() {
    for (const Sent& sent : sent_) scheduler_->cancel(sent);
  }

  // So many results are there.
  void feed(const std::shared_ptr<Sink>& sink, std::size_t settled) {
    if (ended_ || submitted_ - settled > ahead() / 2) return;
    if (!place_) place_.emplace(std::ranges::begin(elements_));
    while (!ended_ && submitted_ - settled < ahead()) {
      if (pieces_.size() == 0) fill();
      if (waiting_ == 0) break;
      const auto ticket =
          scheduler_->submit({caller_.thunk(), pieces_, waiting_, submitted_, options_.task}, sink,
                             submitted_ == settled ? Deadline::never() : Deadline::now());
      if (!ticket) return;
      remember(*ticket);
      submitted_ += waiting_;
      bytes_ += pieces_.size();
      pieces_.clear();
      waiting_ = 0;
      ended_ = *place_ == std::ranges::end(elements_);
    }
  }

  bool is_at_end(std::size_t taken) const noexcept { return ended_ && taken == submitted_; }
  Scheduler& scheduler() const noexcept { return *scheduler_; }

 private:
  using Sent = Scheduler::Ticket;

  static constexpr std::size_t kMostTasksAhead = 256;
  static constexpr std::size_t kMostBytesAhead = std::size_t{16} << 20U;
  static constexpr std::size_t kChunkBytes = std::size_t{256} << 10U;

  // Only elements that stay where they are may be sent from where they are.
  static constexpr bool kStable = std::ranges::forward_range<View> &&
                                  std::is_lvalue_reference_v<std::ranges::range_reference_t<View>>;

  std::size_t automatic_chunk(std::size_t workers) {
    constexpr std::size_t kTasksPerWorker = 8;
    constexpr std::size_t kMost = 8192;
    constexpr std::size_t kUnsized = 32;
    if constexpr (std::ranges::sized_range<View>) {
      const auto size = static_cast<std::size_t>(std::ranges::size(elements_));
      return std::clamp<std::size_t>(size / (kTasksPerWorker * workers), 1, kMost);
    } else {
      return kUnsized;
    }
  }

  std::size_t ahead() const noexcept {
    if (bytes_ == 0) return most_ahead_;
    const std::size_t by_bytes = kMostBytesAhead / (bytes_ / submitted_ + 1);
    return std::min(most_ahead_, std::max(by_bytes, least_ahead_));
  }

  void fill() {
    auto& place = *place_;
    for (const auto end = std::ranges::end(elements_);
         place != end && waiting_ < chunk_ && pieces_.size() < kChunkBytes; ++place) {
      caller_.add(pieces_, images_, *place, kStable);
      ++waiting_;
    }
    if (waiting_ == 0) ended_ = true;
  }

  void remember(const Sent& ticket) {
    while (!sent_.empty() && scheduler_->is_settled(sent_.front())) sent_.pop_front();
    sent_.push_back(ticket);
  }

  std::shared_ptr<Scheduler> scheduler_;
  View elements_;
  std::optional<std::ranges::iterator_t<View>> place_;
  Caller caller_;
  MapOptions options_;
  std::size_t chunk_;
  std::size_t most_ahead_ = 0;
  std::size_t least_ahead_ = 0;
  ImageTable images_;
  Pieces pieces_;
  std::uint32_t waiting_ = 0;  // calls in pieces_
  std::size_t submitted_ = 0;
  std::size_t bytes_ = 0;
  std::deque<Sent> sent_;
  bool ended_ = false;
};

// Calls f(element).
template <typename F, typename Element>
struct CallWithOne {
  F function;
  using Result = std::decay_t<std::invoke_result_t<F&, Sent<Element>>>;

  static Thunk thunk() noexcept { return thunk_for<F, Sent<Element>>(); }
  template <typename E>
  void add(Pieces& pieces, ImageTable& images, const E& element, bool is_stable) const {
    pieces.add_call<Sent<Element>>(images, function, element);
    if (!is_stable) pieces.own();
  }
};

// Calls f(elements of the tuple...).
template <typename F, typename Tuple>
struct CallWithAll;
template <typename F, template <typename...> typename Tuple, typename... Args>
struct CallWithAll<F, Tuple<Args...>> {
  F function;
  using Result = std::decay_t<std::invoke_result_t<F&, Sent<Args>...>>;

  static Thunk thunk() noexcept { return thunk_for<F, Sent<Args>...>(); }
  template <typename E>
  void add(Pieces& pieces, ImageTable& images, const E& tuple, bool is_stable) const {
    std::apply(
        [&](const auto&... args) { pieces.add_call<Sent<Args>...>(images, function, args...); },
        tuple);
    if (!is_stable) pieces.own();
  }
};

template <typename R>
struct OrderedResults final : Sink {
  std::deque<std::optional<Outcome<R>>> waiting;  // from `taken` on
  std::size_t taken = 0;
  std::size_t settled = 0;

  void on_value(std::size_t item, View result) override { put(item, decode_outcome<R>(result)); }
  void on_failure(std::size_t item, std::exception_ptr reason) override {
    put(item, Outcome<R>{std::move(reason)});
  }
  void put(std::size_t item, Outcome<R> outcome) {
    const std::size_t place = item - taken;
    if (place >= waiting.size()) waiting.resize(place + 1);
    waiting[place].emplace(std::move(outcome));
    ++settled;
  }
  bool has_next() const noexcept { return !waiting.empty() && waiting.front().has_value(); }
  R& next() { return waiting.front()->get(); }
  void drop_next() {
    waiting.pop_front();
    ++taken;
  }
};

}  // namespace detail

// What a call for one element came to.
template <typename R>
struct Indexed {
  std::size_t index;  // of the element
  Outcome<R> result;  // get() throws if the call failed
};

namespace detail {

template <typename R>
struct UnorderedResults final : Sink {
  std::deque<Indexed<R>> waiting;
  std::size_t taken = 0;
  std::size_t settled = 0;

  void on_value(std::size_t item, View result) override { put(item, decode_outcome<R>(result)); }
  void on_failure(std::size_t item, std::exception_ptr reason) override {
    put(item, Outcome<R>{std::move(reason)});
  }
  void put(std::size_t item, Outcome<R> outcome) {
    waiting.push_back({item, std::move(outcome)});
    ++settled;
  }
  bool has_next() const noexcept { return !waiting.empty(); }
  Indexed<R>& next() { return waiting.front(); }
  void drop_next() {
    waiting.pop_front();
    ++taken;
  }
};

}  // namespace detail

// A range to go through once, which sends the calls as it goes: some hundreds, or 16 MiB of them,
// ahead. Reading waits for the result and throws if that call failed; ++ goes on with the next one.
// Its destruction cancels what no worker has in hand. A range that was given as an lvalue must live
// as long; what its iterators throw leaves begin() or ++. For the thread that uses the pool.
template <typename View, typename Caller, typename Results>
class [[nodiscard]] Mapping {
 public:
  Mapping(std::shared_ptr<detail::Scheduler> pool, std::size_t workers, View elements,
          Caller caller, const MapOptions& options)
      : results_{std::make_shared<Results>()},
        feeder_{std::move(pool), workers, std::move(elements), std::move(caller), options} {
    feeder_.feed(results_, 0);
  }

  class Iterator {
   public:
    using reference = decltype(std::declval<Results&>().next());
    using value_type = std::remove_reference_t<reference>;
    using difference_type = std::ptrdiff_t;
    explicit Iterator(Mapping& all) : all_{&all} { all.await_next(); }
    reference operator*() const { return all_->results_->next(); }
    Iterator& operator++() {
      all_->results_->drop_next();
      all_->await_next();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const noexcept { return all_->is_at_end(); }

   private:
    Mapping* all_;
  };
  Iterator begin() { return Iterator{*this}; }
  std::default_sentinel_t end() const noexcept { return {}; }

  // All that are left; throws what the first failed call threw. Of map() and starmap().
  auto get()
    requires(!std::is_void_v<typename Caller::Result>)
  {
    std::vector<typename Caller::Result> all;
    for (auto& result : *this) all.push_back(std::move(result));
    return all;
  }

 private:
  bool is_at_end() const noexcept { return feeder_.is_at_end(results_->taken); }
  void await_next() {
    feeder_.feed(results_, results_->settled);
    if (results_->has_next() || is_at_end()) return;
    feeder_.scheduler().drive_until(
        [&] {
          feeder_.feed(results_, results_->settled);
          return results_->has_next() || is_at_end();
        },
        Deadline::never());
  }

  std::shared_ptr<Results> results_;
  detail::Feeder<View, Caller> feeder_;
};

}  // namespace procpool::proc
