// A lock that many may read under, or one may write under.
//
//   struct Table { ipc::SharedMutex mutex; std::array<Row, 100> rows{}; };
//   ipc::Shared<Table> table;
//   { std::shared_lock reading{table->mutex}; show(table->rows); }
//   { std::unique_lock writing{table->mutex}; if (table->mutex.took_over()) mend(*table); ... }
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "ipc/base/deadline.hpp"
#include "ipc/base/event_count.hpp"
#include "ipc/base/owner.hpp"
#include "ipc/detail/deadline_of.hpp"

namespace procpool::ipc {

// A standard SharedTimedLockable (std::shared_lock, std::unique_lock) for processes and threads,
// that lies in shared memory. A reader that dies at any instruction gives its share back; a writer
// that dies leaves the lock to the next, reader or writer, which can see it by took_over(). Those
// who wait have it within kLongestSleep (event_count.hpp), whoever comes later at once. A stopped
// one (SIGSTOP) keeps what it has.
//
// A writer that waits comes before readers that are new. A thread that has a share may take
// another one, which never waits for a writer; it cannot become a writer without giving them back.
// Shares belong to their threads as a Mutex does; a child of fork has none of its parent's.
class SharedMutex {
 public:
  // So many shares at once; a further reader waits until one is given back.
  static constexpr std::size_t kMostReaders = 120;

  SharedMutex() = default;
  SharedMutex(const SharedMutex&) = delete;
  SharedMutex& operator=(const SharedMutex&) = delete;
  ~SharedMutex() = default;

  // The writer. Blocks until nobody else has the lock or a share. Throws Error: EDEADLK when this
  // thread has either.
  void lock() { lock_by(Deadline::never()); }

  // False: somebody has it, or is just asking for it. Never blocks; a refusal costs some system
  // calls for each reader. Throws as lock().
  bool try_lock();

  // False: not before the time came. Throws as lock().
  template <typename Rep, typename Period>
  bool try_lock_for(std::chrono::duration<Rep, Period> time) {
    return lock_by(detail::deadline_of(time));
  }
  template <typename Clock, typename Duration>
  bool try_lock_until(std::chrono::time_point<Clock, Duration> time) {
    return lock_by(detail::deadline_of(time));
  }
  bool try_lock_until(Deadline deadline) { return lock_by(deadline); }

  void unlock();  // throws Error EPERM when this thread is not the writer

  // A reader. Blocks while there is a writer, or one that waits. Throws Error: EDEADLK when this
  // thread is the writer.
  void lock_shared() { lock_shared_by(Deadline::never()); }

  // False: there is a writer, or one that waits, or there are kMostReaders. Never blocks. Throws
  // as lock_shared().
  bool try_lock_shared();

  // False: not before the time came. Throws as lock_shared().
  template <typename Rep, typename Period>
  bool try_lock_shared_for(std::chrono::duration<Rep, Period> time) {
    return lock_shared_by(detail::deadline_of(time));
  }
  template <typename Clock, typename Duration>
  bool try_lock_shared_until(std::chrono::time_point<Clock, Duration> time) {
    return lock_shared_by(detail::deadline_of(time));
  }
  bool try_lock_shared_until(Deadline deadline) { return lock_shared_by(deadline); }

  void unlock_shared();  // throws Error EPERM when this thread has no share

  // For who has the lock or a share: a writer died with the lock held, so what the lock protects
  // may be half-changed. True until a later writer has unlocked, who is thought to have mended it.
  bool took_over() const noexcept { return (writer_.load() & kTakenOver) != 0; }

  // How often a writer has died with the lock held. May be read by anybody at any time.
  std::uint64_t takeovers() const noexcept { return takeovers_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::uint64_t kDraining = Owner::kFirstFlag;  // the writer waits for readers
  static constexpr std::uint64_t kTakenOver = Owner::kFirstFlag * 2;

  bool lock_by(Deadline deadline);
  bool claim(bool ask);
  bool is_drained(bool ask);
  void enter() noexcept;
  void give_up() noexcept;

  bool lock_shared_by(Deadline deadline);
  bool share(bool ask, bool has_one);
  bool take_share(Owner me, bool ask);
  void return_share(Owner me);

  bool is_free_of_writers(bool ask);

  std::atomic<std::uint64_t> writer_ = 0;  // its Owner, and flags; nobody may have kTakenOver
  std::atomic<std::uint64_t> takeovers_ = 0;
  EventCount turns_;   // no writer any more, or a share while there is none
  EventCount shares_;  // a share was given back; only a writer sleeps here
  std::array<std::atomic<std::uint64_t>, kMostReaders> readers_{};
};

}  // namespace procpool::ipc
