// A way to wake everything that merely waits.
//
//   Interrupt drain;
//   IoResult woken = co_await stream.readable(deadline, drain);   // ECANCELED after drain.raise()
//   drain.raise();              // from another task or call-back of the same loop
#pragma once

#include <boost/intrusive/list.hpp>

namespace procpool::net {

// Raised once, and stays so. Waits that name it end at once, now and later. It owns nothing; it
// must outlive the waits that name it, but those that it wakes may destroy it. For one thread.
class Interrupt {
 public:
  // Something that waits; it leaves the list by itself when it is destroyed.
  class Waiter : public boost::intrusive::list_base_hook<
                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
   public:
    virtual void interrupted() = 0;

   protected:
    ~Waiter() = default;
  };

  bool raised() const noexcept { return raised_; }

  void raise() {
    raised_ = true;
    Waiters to_wake;
    to_wake.swap(waiters_);
    while (!to_wake.empty()) {
      Waiter& waiter = to_wake.front();
      waiter.unlink();
      waiter.interrupted();
    }
  }

  void add(Waiter& waiter) noexcept { waiters_.push_back(waiter); }

 private:
  using Waiters = boost::intrusive::list<Waiter, boost::intrusive::constant_time_size<false>>;
  Waiters waiters_;
  bool raised_ = false;
};

}  // namespace procpool::net
