// Who holds something in shared memory: one word, written in the same atomic step that takes it.
//
//   std::atomic<std::uint64_t> holder = 0;
//   std::uint64_t nobody = 0;
//   if (holder.compare_exchange_strong(nobody, Owner::this_thread().word())) ... it is ours
//   if (Owner{nobody}.thread_is_dead()) holder.compare_exchange_strong(nobody, ... it is ours now
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace procpool {

namespace detail {
// The calling thread's own words; 0: it has not asked yet, or it is the child of a fork.
inline constinit thread_local std::uint64_t own_thread = 0;
inline constinit thread_local std::uint64_t own_process = 0;
}  // namespace detail

// A thread, or a process, of this machine since its boot: its id (gettid(2), getpid(2)) and the
// moment when it started, which tells it from a later one with the same id. The id and the flags of
// the user stand in the lower half, so a futex on it changes with either. A value. All who use one
// word must be in one pid namespace.
//
//   bits 0-21 the id (at most 4194304, proc(5) pid_max), 22-31 flags, 32-63 the start in clock
//   ticks after boot, modulo 2^32
class Owner {
 public:
  static constexpr std::uint64_t kFlags = 0xffc00000;
  static constexpr std::uint64_t kFirstFlag = 0x00400000;

  constexpr explicit Owner(std::uint64_t word) noexcept : word_{word & ~kFlags} {}  // any flags

  // The calling thread. The first call of each thread reads /proc and may throw Error; later ones
  // cost a load. A child of fork(3) is somebody else.
  static Owner this_thread() {
    return Owner{detail::own_thread != 0 ? detail::own_thread : identify_thread()};
  }

  // The calling process. As this_thread().
  static Owner this_process() {
    return Owner{detail::own_process != 0 ? detail::own_process : identify_process()};
  }

  constexpr std::uint64_t word() const noexcept { return word_; }  // without flags; 0: nobody
  constexpr pid_t id() const noexcept { return static_cast<pid_t>(word_ & 0x3fffff); }

  // True only on proof: no thread has the id, a later one has it, or it has executed its last
  // instruction (Z, X in proc(5)). A stopped one lives; nobody is dead. Costs some system calls, so
  // ask after waiting. What is hidden from us (hidepid) lives as long as its id does; so does
  // everybody when there is no descriptor left to look with (EMFILE). Throws Error.
  bool thread_is_dead() const;

  // The same of a process: all of its threads have ended, reaped or not.
  bool process_is_dead() const;

  friend constexpr bool operator==(Owner, Owner) = default;

 private:
  static std::uint64_t identify_thread();
  static std::uint64_t identify_process();

  std::uint64_t word_;
};

inline constexpr Owner kNobody{0};

}  // namespace procpool
