// A Mutex that its owner may lock again.
//
//   struct Tree { ipc::RecursiveMutex mutex; ... };
//   ipc::Shared<Tree> tree;
//   std::scoped_lock lock{tree->mutex};
//   insert(*tree, 7);                       // locks it, too, and unlocks it as often
#pragma once

#include <chrono>
#include <cstdint>

#include "ipc/base/deadline.hpp"
#include "ipc/base/owner.hpp"
#include "ipc/mutex.hpp"

namespace procpool::ipc {

// A standard Lockable and TimedLockable between processes and threads, as Mutex is, and as that
// taken over from an owner that died, at any instruction and however often it had locked it. It is
// free when it was unlocked as often as it was locked.
class RecursiveMutex {
 public:
  RecursiveMutex() = default;
  RecursiveMutex(const RecursiveMutex&) = delete;
  RecursiveMutex& operator=(const RecursiveMutex&) = delete;
  ~RecursiveMutex() = default;

  // Blocks until this thread owns it.
  void lock() {
    if (reenter()) return;
    mutex_.lock();
    depth_ = 1;
  }

  // False: somebody else owns it, and lives. Never blocks.
  bool try_lock() { return reenter() || enter_if(mutex_.try_lock()); }

  // False: somebody else owned it until the time came.
  template <typename Rep, typename Period>
  bool try_lock_for(std::chrono::duration<Rep, Period> time) {
    return reenter() || enter_if(mutex_.try_lock_for(time));
  }
  template <typename Clock, typename Duration>
  bool try_lock_until(std::chrono::time_point<Clock, Duration> time) {  // Clock is read once
    return reenter() || enter_if(mutex_.try_lock_until(time));
  }
  bool try_lock_until(Deadline deadline) {
    return reenter() || enter_if(mutex_.try_lock_until(deadline));
  }

  // Throws Error EPERM when this thread does not own it.
  void unlock() {
    if (!mutex_.is_mine()) refuse_unlock();
    if (depth_ > 1) {
      --depth_;
    } else {
      mutex_.unlock();
    }
  }

  // How often this thread has locked it; 0: it does not own it.
  std::uint64_t depth() const { return mutex_.is_mine() ? depth_ : 0; }

  // As those of Mutex. took_over() is true until the last unlock().
  bool took_over() const noexcept { return mutex_.took_over(); }
  std::uint64_t takeovers() const noexcept { return mutex_.takeovers(); }
  Owner owner() const noexcept { return mutex_.owner(); }

 private:
  bool reenter() {
    if (!mutex_.is_mine()) return false;
    ++depth_;
    return true;
  }
  bool enter_if(bool locked) {
    if (locked) depth_ = 1;
    return locked;
  }
  [[noreturn]] static void refuse_unlock();

  Mutex mutex_;
  std::uint64_t depth_ = 0;  // the owner's; a dead one's means nothing
};

}  // namespace procpool::ipc
