// What one of many processes shall do, and the others wait for.
//
//   struct Table { ipc::Once filled; std::array<Row, 100> rows; };
//   table->filled.call([&] { fill(table->rows); });      // everybody; afterwards it is full
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <utility>

#include "ipc/base/event_count.hpp"
#include "ipc/base/owner.hpp"

namespace procpool::ipc {

// As std::once_flag and std::call_once, between processes and threads, in shared memory. Exactly
// one function is run to its end. When the one who runs it dies, at any instruction, or its
// function throws, the next runs its own, those who wait within kLongestSleep (event_count.hpp).
class Once {
 public:
  Once() = default;
  Once(const Once&) = delete;
  Once& operator=(const Once&) = delete;
  ~Once() = default;

  // Returns when a function has come to its end, this one or another's, whose work is then seen.
  // What it throws is thrown here. It may find what a dead one has left of its work, and
  // took_over() says so. Throws Error: EDEADLK when the function calls its own Once.
  template <std::invocable Function>
  void call(Function&& function) {
    if (is_done() || !begin()) return;
    try {
      std::forward<Function>(function)();
    } catch (...) {
      fail();
      throw;
    }
    finish();
  }

  bool is_done() const noexcept { return state_.load() == kDone; }

  // Within the function: one has died in the middle of it.
  bool took_over() const noexcept { return (state_.load() & kTakenOver) != 0; }

 private:
  static constexpr std::uint64_t kDone = Owner::kFirstFlag;           // and nobody
  static constexpr std::uint64_t kTakenOver = Owner::kFirstFlag * 2;  // and perhaps nobody

  bool begin();  // false: another has finished
  bool try_begin(bool ask);
  void fail() noexcept;
  void finish() noexcept;

  std::atomic<std::uint64_t> state_ = 0;  // kDone, or the Owner who runs, and kTakenOver
  EventCount changes_;
};

}  // namespace procpool::ipc
