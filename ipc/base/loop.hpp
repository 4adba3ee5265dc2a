// An event loop: call-backs for descriptors and timers, in one thread, until it is told to stop.
//
//   Loop loop;
//   Loop::Watch input{loop, fd, Interest::read, [&](const Readiness&) { drain(fd); }};
//   Loop::Timer limit{loop, [&] { loop.stop(); }};
//   limit.set(Deadline::in(5s));
//   loop.run();
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "ipc/base/deadline.hpp"
#include "ipc/base/poller.hpp"

namespace procpool {

// Descriptors and timers; no sockets, no coroutines, no signals. For one thread, which may
// make and destroy watches and timers at any time, also from within a call-back (its own too). All
// of them must be gone before the loop is. A child of fork makes a loop of its own. A call-back's
// exception leaves run() and loses nothing: the next run() goes on with the rest.
class Loop {
 public:
  explicit Loop(Poller::Backend backend = Poller::Backend::epoll_level);
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Instead of call-backs, for objects of which there are thousands: it costs no memory. It lives
  // at least as long as what it is called by, and may destroy that and itself in the call.
  class Receiver {
   public:
    virtual void on_ready(const Readiness& readiness) = 0;  // of a Watch
    virtual void on_deadline() = 0;                         // of a Timer

   protected:
    ~Receiver() = default;
  };

 private:
  // A call-back is shared with a call of it that is under way: that may destroy its watch or timer.
  using Shared = std::shared_ptr<Receiver>;
  static Shared lent(Receiver& receiver) noexcept { return {Shared{}, &receiver}; }

 public:
  // A descriptor in the loop, for as long as this object lives. The descriptor is the caller's and
  // must be closed after it. Costs one epoll_ctl(2) at each change of interest and none per event.
  class Watch {
   public:
    using Callback = std::function<void(const Readiness&)>;
    Watch(Loop& loop, int fd, Interest interest, Callback callback);  // throws Error as Poller::add
    Watch(Loop& loop, int fd, Interest interest, Receiver& receiver);  // the same
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch();

    void set_interest(Interest interest);  // free when nothing changes
    Interest interest() const noexcept { return interest_; }

   private:
    friend class Loop;
    Watch(Loop& loop, int fd, Interest interest, Shared receiver);
    Loop& loop_;
    Shared receiver_;
    int fd_;
    Interest interest_;
  };

  // Fires once at its deadline, and again when it is set again. Postponing a running timer, which
  // servers do at every request, is a store; it costs O(log timers) only once the old deadline
  // comes.
  class Timer {
   public:
    using Callback = std::function<void()>;
    Timer(Loop& loop, Callback callback);
    Timer(Loop& loop, Receiver& receiver) noexcept : loop_{loop}, receiver_{lent(receiver)} {}
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    ~Timer();

    void set(Deadline deadline);  // replaces what was set; never() cancels
    void cancel() noexcept;
    Deadline deadline() const noexcept { return deadline_; }  // never(): not set
    Loop& loop() const noexcept { return loop_; }

   private:
    friend class Loop;
    static constexpr std::size_t kNotQueued = static_cast<std::size_t>(-1);
    Loop& loop_;
    Deadline deadline_ = Deadline::never();
    Deadline queued_for_ = Deadline::never();  // never later than deadline_
    std::size_t place_ = kNotQueued;           // in loop_.timers_
    Shared receiver_;
  };

  void run();                        // until stop()
  void run_once(Deadline deadline);  // one wait, and the call-backs of all that was ready or due
  void stop() noexcept { stopping_ = true; }

  // The time at the start of this turn: cheap, and the same for all that happens in it.
  Deadline::Clock::time_point now() const noexcept { return now_; }

  int fd() const noexcept { return poller_.fd(); }  // see Poller::fd(); tells nothing of timers

 private:
  Deadline next_timer() noexcept;
  void fire_due_timers();
  void dispatch();
  void forget(const Watch& watch) noexcept;

  void place_timer(std::size_t index, Timer* timer) noexcept;
  void sift_up(std::size_t index) noexcept;
  void sift_down(std::size_t index) noexcept;
  void enqueue(Timer& timer);
  void dequeue(Timer& timer) noexcept;

  Poller poller_;
  std::vector<Timer*> timers_;    // a binary heap by queued_for_
  std::vector<Readiness> ready_;  // what is still to be dispatched; token 0: its watch is gone
  std::size_t next_ready_ = 0;
  Deadline::Clock::time_point now_ = Deadline::Clock::now();
  bool stopping_ = false;
};

}  // namespace procpool
