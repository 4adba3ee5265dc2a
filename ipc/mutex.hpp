// A lock between processes that comes back when its owner dies.
//
//   struct Account { ipc::Mutex mutex; long balance = 0; };
//   ipc::Shared<Account> account;
//   std::scoped_lock lock{account->mutex};
//   if (account->mutex.took_over()) mend(*account);   // the previous owner died in the middle
#pragma once

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <cstdint>

#include "ipc/base/deadline.hpp"

namespace procpool::ipc {

// A standard Lockable and TimedLockable, for processes and threads, that lies in shared memory (or
// anywhere else). When its owner is killed at any instruction, ends, or executes another program,
// the kernel releases it and the next one to lock it has it, and can see that by took_over(). A
// waiter that is killed, even just after it was woken, delays the others by kLongestSleep at most.
// A stopped owner (SIGSTOP) keeps it.
//
// It belongs to a thread: a child of fork does not own what its parent holds. Not recursive. All of
// its users must be in one pid namespace. A thread may hold 2048 at once (the kernel's
// ROBUST_LIST_LIMIT); the memory may not be unmapped while it is held.
// pthread_mutexattr_setrobust(3).
class Mutex {
 public:
  static constexpr std::chrono::milliseconds kLongestSleep{50};

  Mutex();  // throws Error (ENOMEM)
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;
  ~Mutex() = default;

  // Blocks until this thread owns it. Throws Error: EDEADLK when it does already.
  void lock();

  // False: somebody else owns it. Never blocks. Throws Error as lock().
  bool try_lock();

  // False: somebody else owned it until the time came. Throws Error as lock().
  template <typename Rep, typename Period>
  bool try_lock_for(std::chrono::duration<Rep, Period> time) {
    return try_lock_by(Deadline::in(std::chrono::ceil<Deadline::Clock::duration>(time)));
  }
  template <typename Clock, typename Duration>
  bool try_lock_until(std::chrono::time_point<Clock, Duration> time) {  // Clock is read once
    return try_lock_for(time - Clock::now());
  }
  bool try_lock_until(Deadline deadline) { return try_lock_by(deadline); }

  // Throws Error EPERM when this thread does not own it; from a lock's destructor that ends the
  // program.
  void unlock();

  // For the owner: the one before it died with the lock held, so what the lock protects may be
  // half-changed. True until unlock().
  bool took_over() const noexcept { return took_over_; }

  // How often an owner has died. May be read by anybody at any time.
  std::uint64_t takeovers() const noexcept { return takeovers_.load(std::memory_order_relaxed); }

 private:
  bool try_lock_by(Deadline deadline);
  bool acquired(int result);

  pthread_mutex_t mutex_;
  bool took_over_ = false;  // under the mutex
  std::atomic<std::uint64_t> takeovers_ = 0;
};

}  // namespace procpool::ipc
