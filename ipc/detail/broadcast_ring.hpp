// The ring of a Broadcast in shared memory: one process writes, any number read, and nobody waits
// for a reader. Broadcast<T> gives its messages a type.
//
// Message n lies in slot n % capacity, whose sequence says 2n + 1 while it is written and 2n + 2
// from then on (a seqlock). It counts once `head` does. A writer that is killed before that leaves
// a slot that its successor writes again; readers know by the sequence that what was there is gone.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ipc/base/deadline.hpp"
#include "ipc/base/event_count.hpp"

namespace procpool::ipc::detail {

// One process's view of it. For all threads; a child of fork may use its copy.
class BroadcastRing {
 public:
  // The same in every process, and kept outside the shared memory, where nobody can change it.
  struct Geometry {
    std::size_t capacity;       // messages, 1 to kMostSlots
    std::size_t message_bytes;  // 1 or more

    static constexpr std::size_t kMostSlots = std::size_t{1} << 31U;

    std::size_t check() const;  // its size in bytes; throws Error when it cannot be
    std::size_t words() const noexcept { return (message_bytes + 7) / 8; }
  };

  enum class Outcome : std::uint8_t { message, nothing, closed };

  // Where a reader stands.
  struct Position {
    std::uint64_t next = 0;    // the number of the message to be read
    std::uint64_t missed = 0;  // how many were overwritten before they were read
  };

  static void construct(std::byte* memory);
  BroadcastRing(std::byte* memory, const Geometry& geometry) noexcept;

  // The writer's role, for this process: false when another Writer has it whose process lives.
  bool try_become_writer(bool& took_over);
  bool become_writer(Deadline deadline, bool& took_over);
  void resign() noexcept;  // nothing when this process has it not

  // False: closed. Throws Error EPERM when this process is not the writer.
  bool publish(std::span<const std::byte> message);

  // `nothing` also when the writer was faster again and again.
  Outcome try_read(Position& position, std::span<std::byte> message) const;
  Outcome read(Position& position, std::span<std::byte> message, Deadline deadline) const;

  void close() noexcept;
  bool is_closed() const noexcept;
  std::uint64_t published() const noexcept;
  std::uint64_t takeovers() const noexcept;
  std::size_t capacity() const noexcept { return geometry_.capacity; }

 private:
  struct State;

  std::atomic<std::uint64_t>* slot(std::uint64_t number) const noexcept {
    return slots_ + number % geometry_.capacity * (1 + geometry_.words());
  }
  bool try_copy(std::uint64_t number, std::span<std::byte> message) const;

  State* state_;
  std::atomic<std::uint64_t>* slots_;
  Geometry geometry_;
};

}  // namespace procpool::ipc::detail
