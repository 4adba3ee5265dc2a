// A flag that processes wait for.
//
//   ipc::Shared<ipc::Event> ready;
//   if (!ready->wait_for(5s)) give_up();          // who waits
//   ready->set();                                 // lets all of them go
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "ipc/base/deadline.hpp"
#include "ipc/base/event_count.hpp"
#include "ipc/detail/deadline_of.hpp"

namespace procpool::ipc {

// Set or clear, at first clear; as Python's multiprocessing.Event, for processes and threads, in
// shared memory. set() lets go everybody who waits at that moment, even if clear() follows before
// they run. What was written before set() is seen by those whom it lets go. A process killed at any
// instruction leaves it set or clear; a wake-up that is lost with it costs the others kLongestSleep
// (event_count.hpp) at most.
class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() = default;

  void set() noexcept;
  void clear() noexcept;
  bool is_set() const noexcept { return (state_.load() & kSet) != 0; }
  bool ready() const noexcept { return is_set(); }  // as wait_any() asks

  void wait() { wait_until(Deadline::never()); }  // blocks until it is set

  // False: it was not set before the time came.
  template <typename Rep, typename Period>
  bool wait_for(std::chrono::duration<Rep, Period> time) {
    return wait_until(detail::deadline_of(time));
  }
  template <typename Clock, typename Duration>
  bool wait_until(std::chrono::time_point<Clock, Duration> time) {
    return wait_until(detail::deadline_of(time));
  }
  bool wait_until(Deadline deadline);

 private:
  static constexpr std::uint32_t kSet = 1;
  static constexpr std::uint32_t kOneMore = 2;

  std::atomic<std::uint32_t> state_ = 0;  // kSet, and how often it was set
  EventCount changes_;
};

static_assert(sizeof(Event) <= 64);

}  // namespace procpool::ipc
