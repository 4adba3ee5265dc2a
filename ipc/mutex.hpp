// A lock between processes that comes back when its owner dies.
//
//   struct Account { ipc::Mutex mutex; long balance = 0; };
//   ipc::Shared<Account> account;
//   std::scoped_lock lock{account->mutex};
//   if (account->mutex.took_over()) mend(*account);   // the previous owner died in the middle
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "ipc/base/deadline.hpp"
#include "ipc/base/owner.hpp"
#include "ipc/detail/deadline_of.hpp"

namespace procpool::ipc {

// A standard Lockable and TimedLockable, for processes and threads, that lies in shared memory (or
// anywhere else). When its owner is killed at any instruction, or ends, the next one to lock it has
// it, and can see that by took_over(): those who wait do so within kLongestSleep (event_count.hpp),
// whoever comes later at once. A waiter that is killed, even just after it was woken, delays the
// others by no more. A stopped owner (SIGSTOP) keeps it, and so does one that executes another
// program, until that ends.
//
// It belongs to a thread: a child of fork does not own what its parent holds. Not recursive. All of
// its users must be in one pid namespace, and see each other in /proc.
class Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;
  ~Mutex() = default;

  // Blocks until this thread owns it. Throws Error: EDEADLK when it does already.
  void lock() {
    if (!acquire()) lock_by(Deadline::never());
  }

  // False: somebody else owns it, and lives. Never blocks; a refusal costs some system calls.
  // Throws Error as lock().
  bool try_lock() { return acquire() || take_over(); }

  // False: somebody else owned it until the time came. Throws Error as lock().
  template <typename Rep, typename Period>
  bool try_lock_for(std::chrono::duration<Rep, Period> time) {
    if (acquire()) return true;  // without a look at the clock, which costs as much as the lock
    return lock_by(detail::deadline_of(time));
  }
  template <typename Clock, typename Duration>
  bool try_lock_until(std::chrono::time_point<Clock, Duration> time) {  // Clock is read once
    return acquire() || lock_by(detail::deadline_of(time));
  }
  bool try_lock_until(Deadline deadline) { return acquire() || lock_by(deadline); }

  // Throws Error EPERM when this thread does not own it; from a lock's destructor that ends the
  // program.
  void unlock() {
    if (!is_mine()) refuse_unlock();
    if ((word_.exchange(0, std::memory_order_release) & kWaiters) != 0) wake_next();
  }

  // For the owner: the one before it died with the lock held, so what the lock protects may be
  // half-changed. True until unlock().
  bool took_over() const noexcept {
    return (word_.load(std::memory_order_relaxed) & kTakenOver) != 0;
  }

  // How often an owner has died. May be read by anybody at any time.
  std::uint64_t takeovers() const noexcept { return takeovers_.load(std::memory_order_relaxed); }

  // Whether this thread owns it.
  bool is_mine() const {
    return Owner{word_.load(std::memory_order_relaxed)} == Owner::this_thread();
  }

  // Who owns it at this moment; kNobody. May be asked by anybody.
  Owner owner() const noexcept { return Owner{word_.load(std::memory_order_relaxed)}; }

 private:
  static constexpr std::uint64_t kWaiters = Owner::kFirstFlag;        // there may be some
  static constexpr std::uint64_t kTakenOver = Owner::kFirstFlag * 2;  // from a dead owner

  bool acquire(std::uint64_t flags = 0) {
    std::uint64_t nobody = 0;
    return word_.compare_exchange_strong(nobody, Owner::this_thread().word() | flags,
                                         std::memory_order_acquire, std::memory_order_relaxed);
  }
  bool take_over();
  bool lock_by(Deadline deadline);
  void wake_next() noexcept;
  [[noreturn]] static void refuse_unlock();

  std::atomic<std::uint64_t> word_ = 0;  // its Owner, and flags
  std::atomic<std::uint64_t> takeovers_ = 0;
};

static_assert(sizeof(Mutex) <= 64);

}  // namespace procpool::ipc
