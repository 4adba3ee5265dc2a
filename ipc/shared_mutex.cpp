#include "ipc/shared_mutex.hpp"

#include <cerrno>

#include "ipc/base/error.hpp"
#include "ipc/detail/await.hpp"
#include "ipc/detail/owner_slots.hpp"

namespace procpool::ipc {

// A reader writes its share, then looks for a writer; a writer writes its word, then looks for
// shares. All of these are sequentially consistent, so that of two who meet at least one sees the
// other: the reader then takes its share back, and the writer waits for that.

// Whether there is no writer. On request a dead one is removed, so that none is left.
bool SharedMutex::is_free_of_writers(bool ask) {
  std::uint64_t word = writer_.load();
  const Owner writer{word};
  if (writer == kNobody) return true;
  if (writer == Owner::this_thread()) throw_errno("lock", "shared mutex", EDEADLK);
  if (!ask || !writer.thread_is_dead()) return false;
  const bool held = (word & kDraining) == 0;  // or it has changed nothing yet
  if (!writer_.compare_exchange_strong(word, held ? kTakenOver : word & kTakenOver)) return false;
  if (held) takeovers_.fetch_add(1, std::memory_order_relaxed);
  turns_.notify_all();
  return true;
}

bool SharedMutex::claim(bool ask) {
  const Owner me = Owner::this_thread();
  if (!is_free_of_writers(ask)) {
    // That writer waits for our share.
    if (ask && detail::holds_slot(readers_, me)) throw_errno("lock", "shared mutex", EDEADLK);
    return false;
  }
  std::uint64_t word = writer_.load();
  return Owner{word} == kNobody &&
         writer_.compare_exchange_strong(word, me.word() | kDraining | (word & kTakenOver));
}

bool SharedMutex::is_drained(bool ask) {
  if (ask) detail::free_dead_slots(readers_, &Owner::thread_is_dead);
  for (const auto& reader : readers_) {
    const Owner owner{reader.load()};
    if (owner == Owner::this_thread()) throw_errno("lock", "shared mutex", EDEADLK);
    if (owner != kNobody) return false;
  }
  return true;
}

void SharedMutex::enter() noexcept {
  writer_.fetch_and(~kDraining);
}

void SharedMutex::give_up() noexcept {
  writer_.fetch_and(kTakenOver);
  turns_.notify_all();
}

bool SharedMutex::lock_by(Deadline deadline) {
  if (!detail::await(turns_, deadline, [&](bool ask) { return claim(ask); })) return false;
  try {
    if (detail::await(shares_, deadline, [&](bool ask) { return is_drained(ask); })) {
      enter();
      return true;
    }
  } catch (...) {
    give_up();
    throw;
  }
  give_up();
  return false;
}

bool SharedMutex::try_lock() {
  if (!claim(true)) return false;
  try {
    if (is_drained(false) || is_drained(true)) {
      enter();
      return true;
    }
  } catch (...) {
    give_up();
    throw;
  }
  give_up();
  return false;
}

void SharedMutex::unlock() {
  if (Owner{writer_.load()} != Owner::this_thread()) throw_errno("unlock", "shared mutex", EPERM);
  writer_.exchange(0);
  turns_.notify_all();
}

bool SharedMutex::try_lock_shared() {
  return share(false, false) || share(true, detail::holds_slot(readers_, Owner::this_thread()));
}

bool SharedMutex::lock_shared_by(Deadline deadline) {
  if (share(false, false)) return true;
  const bool has_one = detail::holds_slot(readers_, Owner::this_thread());
  return detail::await(turns_, deadline, [&](bool ask) { return share(ask, has_one); });
}

// Who has a share already keeps any writer from the lock, and need not look for one.
bool SharedMutex::share(bool ask, bool has_one) {
  if (!is_free_of_writers(ask) && !has_one) return false;
  const Owner me = Owner::this_thread();
  if (!take_share(me, ask)) return false;
  if (has_one || Owner{writer_.load()} == kNobody) return true;
  return_share(me);
  return false;
}

bool SharedMutex::take_share(Owner me, bool ask) {
  if (detail::take_slot(readers_, me)) return true;
  if (!ask || detail::free_dead_slots(readers_, &Owner::thread_is_dead) == 0) return false;
  turns_.notify_all();
  return detail::take_slot(readers_, me);
}

// Without a writer, those who sleep wait for a share; with one, they need not be woken before it
// is gone.
void SharedMutex::return_share(Owner me) {
  if (!detail::give_back_slot(readers_, me)) throw_errno("unlock", "shared mutex", EPERM);
  (Owner{writer_.load()} == kNobody ? turns_ : shares_).notify_all();
}

void SharedMutex::unlock_shared() {
  return_share(Owner::this_thread());
}

}  // namespace procpool::ipc
