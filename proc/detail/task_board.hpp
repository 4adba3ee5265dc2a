// The tasks of a pool in shared memory: the master puts them up, workers take them.
//
//   board.put_up(index);                               // master: its record is filled in
//   if (auto index = board.take(worker)) ...           // worker: the record says so at once
//   if (board.withdraw(index)) ...                     // master: nobody has taken it, nobody will
//
// Who takes a task writes himself into its record in the same atomic step. So whoever dies at
// whatever instruction, the master knows which task was his.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "ipc/base/event_count.hpp"
#include "ipc/shared_memory.hpp"
#include "proc/detail/image_offset.hpp"
#include "proc/detail/result_ring.hpp"

namespace procpool::proc::detail {

// A task: a function, and the arguments of one or more calls of it, which are its items.
struct TaskRecord {
  static constexpr std::size_t kMostInside = 160;

  std::atomic<std::uint32_t> word;  // who may do what with it; TaskBoard's
  std::uint32_t first_item;         // those before it are done
  std::uint32_t items;
  std::uint32_t is_timed;  // whoever begins an item says when
  ImageOffset thunk;
  std::uint64_t payload_size;
  std::uint64_t payload_at;  // in the arena, when it is larger than kMostInside
  std::array<std::byte, kMostInside> inside;
};

// What a worker shows, and what it is told.
struct WorkerArea {
  static constexpr std::uint32_t kStarting = 0;
  static constexpr std::uint32_t kLooking = 1;  // for a task, awake
  static constexpr std::uint32_t kAsleep = 2;   // until somebody wakes it, by the futex `state`
  static constexpr std::uint32_t kBusy = 3;
  static constexpr std::uint32_t kRetired = 4;  // it takes no task any more, and ends

  // The item in hand: its number in this worker's life times four, and a phase.
  static constexpr std::uint64_t kRest = 0;     // that item is over
  static constexpr std::uint64_t kRunning = 1;  // it has begun
  static constexpr std::uint64_t kDoomed = 2;   // the worker dies for it, and does nothing more
  static constexpr std::uint64_t kPhases = 4;

  alignas(64) std::atomic<std::uint32_t> state{kStarting};
  std::atomic<std::uint32_t> admitted{0};  // the incarnation that may take tasks
  alignas(64) std::atomic<std::uint64_t> item{0};
  std::atomic<std::int64_t> began{0};  // the item in hand, if timed: in the steady clock's units
  RingPositions results;
  alignas(64) EventCount room;  // in its ring
};

// A view of the segment, in each process that has it. The master uses what is under "master", in
// one thread, workers what is under "worker".
class TaskBoard {
 public:
  struct Size {
    std::uint32_t workers;
    std::uint32_t records;  // a power of two
  };
  static constexpr std::uint64_t kHash = 0x7461'736b'7300;          // "tasks": its layout
  static constexpr std::size_t kRingSize = std::size_t{16} << 20U;  // mostly never touched

  static ipc::SharedMemory make(const Size& size);  // throws Error
  explicit TaskBoard(const ipc::SharedMemory& memory) noexcept;

  const Size& size() const noexcept;
  TaskRecord& record(std::uint32_t index) const noexcept { return records_[index]; }
  WorkerArea& area(std::uint32_t worker) const noexcept;
  std::span<std::byte> ring(std::uint32_t worker) const noexcept;

  // Master. The record is its own until put_up(), and again when withdraw() has said true or
  // everything has come back. What has been up before finds room also where has_room() says false.
  bool has_room() noexcept;
  void put_up(std::uint32_t index) noexcept;
  bool withdraw(std::uint32_t index) noexcept;
  void take_back(std::uint32_t index) noexcept;  // of a dead worker, or when all is back
  std::optional<std::uint32_t> taker_of(std::uint32_t index) const noexcept;
  std::uint64_t waiting() const noexcept;  // those that nobody has taken; or a few more

  // Worker. Nullopt: there is none. Sequentially consistent with put_up().
  std::optional<std::uint32_t> take(std::uint32_t worker) const noexcept;

  // The master sleeps, and is to be woken by its bell; the workers shall end when there is nothing
  // left to take.
  std::atomic<std::uint32_t>& master_asleep() const noexcept { return header_->master_asleep; }
  std::atomic<std::uint32_t>& closing() const noexcept { return header_->closing; }

 private:
  struct Header {
    Size size;
    alignas(64) std::atomic<std::uint64_t> tail;
    alignas(64) std::atomic<std::uint64_t> head;
    alignas(64) std::atomic<std::uint32_t> master_asleep;
    alignas(64) std::atomic<std::uint32_t> closing;
  };
  struct Places;

  static Places places_of(const Size& size) noexcept;
  std::atomic<std::uint64_t>& entry(std::uint64_t ticket) const noexcept;
  void drop_taken_from_head() noexcept;

  Header* header_;
  WorkerArea* areas_;
  std::atomic<std::uint64_t>* entries_;  // ticket and index of what was put up, in order
  TaskRecord* records_;
  std::byte* rings_;
};

}  // namespace procpool::proc::detail
