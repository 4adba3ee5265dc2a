// One writer tells many readers, and waits for none of them.
//
//   ipc::Broadcast<Price> prices{1024};                      // children of fork have it too
//   auto writer = prices.make_writer();
//   writer.publish(price);                                   // false: it is closed
//   auto reader = prices.make_reader();                      // as many as there may be
//   while (auto next = reader.read()) use(*next, reader.missed());
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "ipc/base/deadline.hpp"
#include "ipc/base/unique_fd.hpp"
#include "ipc/codec.hpp"
#include "ipc/detail/broadcast_ring.hpp"
#include "ipc/detail/deadline_of.hpp"
#include "ipc/detail/type_hash.hpp"
#include "ipc/shared_memory.hpp"

namespace procpool::ipc {

enum class ReadFrom : std::uint8_t {
  now,     // what is published from now on
  oldest,  // what is still there, too
};

// The last `capacity` messages of one writer in a SharedMemory segment, of which this object is one
// of any number of holders; see there for fork, names and dying processes. Each reader sees every
// message in its order, or learns how many were overwritten before it came to them. It lasts until
// the last holder is gone.
//
// A process may be killed at any instruction. A reader costs nobody anything. A writer leaves its
// role to the next one that asks for it; the message it was about to publish is lost, and maybe the
// oldest one, which readers see as missed. Readers that wait learn of a message within
// kLongestSleep even if its writer was killed before it could wake them.
//
// T is trivially copyable and travels by copying its bytes. x_for and x_until wait that long at
// most; try_x never waits. All throw Error when the memory is corrupted.
template <Trivial T>
class Broadcast {
 public:
  class Writer;
  class Reader;

  // Anonymous: for this process and its children, and for those to whom fd() is sent. The capacity
  // is 1 to 2^31 messages. Throws Error.
  explicit Broadcast(std::size_t capacity)
      : Broadcast{SharedMemory::anonymous(layout(capacity), detail::BroadcastRing::construct),
                  capacity} {}

  // The one of this name, made if there is none; as in SharedMemory::open. Throws Error: it may be
  // in use with another T or capacity.
  static Broadcast open(std::string_view name, std::size_t capacity) {
    return {SharedMemory::open(name, layout(capacity), detail::BroadcastRing::construct), capacity};
  }

  // An anonymous one whose descriptor came over a Channel. Throws Error.
  static Broadcast attach(UniqueFd segment, std::size_t capacity) {
    return {SharedMemory::attach(std::move(segment), layout(capacity)), capacity};
  }

  // The role of the writer, which one Writer has at a time. make_writer() waits until it is free,
  // or the process that had it is dead; nullopt: another one has it, until the time came.
  Writer make_writer() { return *make_writer_until(Deadline::never()); }
  std::optional<Writer> try_make_writer() {
    bool took_over = false;
    if (!ring_.try_become_writer(took_over)) return std::nullopt;
    return Writer{ring_, took_over};
  }
  std::optional<Writer> make_writer_until(Deadline deadline) {
    bool took_over = false;
    if (!ring_.become_writer(deadline, took_over)) return std::nullopt;
    return Writer{ring_, took_over};
  }
  template <typename Rep, typename Period>
  std::optional<Writer> make_writer_for(std::chrono::duration<Rep, Period> time) {
    return make_writer_until(detail::deadline_of(time));
  }

  Reader make_reader(ReadFrom from = ReadFrom::now) const {
    const std::uint64_t next = ring_.published();
    const std::uint64_t there =
        from == ReadFrom::now ? 0 : std::min<std::uint64_t>(next, capacity());
    return Reader{ring_, next - there};
  }

  // From now on nothing can be published; what is there can still be read. For everybody, for ever;
  // wakes all who wait.
  void close() noexcept { ring_.close(); }
  bool closed() const noexcept { return ring_.is_closed(); }

  std::size_t capacity() const noexcept { return ring_.capacity(); }
  std::uint64_t published() const noexcept { return ring_.published(); }  // since it was made

  // How often the role was taken from a dead process: no more messages than that were lost.
  std::uint64_t takeovers() const noexcept { return ring_.takeovers(); }

  int fd() const noexcept { return memory_.fd(); }  // lent, to be sent over a Channel

 private:
  Broadcast(SharedMemory memory, std::size_t capacity)
      : memory_{std::move(memory)}, ring_{memory_.data(), geometry(capacity)} {}

  static detail::BroadcastRing::Geometry geometry(std::size_t capacity) noexcept {
    return {.capacity = capacity, .message_bytes = sizeof(T)};
  }
  static SharedMemory::Layout layout(std::size_t capacity) {
    return {.hash = detail::hash_of_type<Broadcast>({sizeof(T), capacity}),
            .size = geometry(capacity).check()};
  }

  SharedMemory memory_;
  detail::BroadcastRing ring_;
};

// The role of the writer. Move only; for one thread at a time, of the process that asked for it,
// and not longer than its Broadcast. Its destructor gives the role back, but not in a child of
// fork, which has it not.
template <Trivial T>
class Broadcast<T>::Writer {
 public:
  Writer(Writer&& other) noexcept
      : ring_{std::exchange(other.ring_, std::nullopt)}, took_over_{other.took_over_} {}
  Writer& operator=(Writer&&) = delete;
  ~Writer() {
    if (ring_) ring_->resign();
  }

  // False: it is closed. Never waits. Throws Error EPERM in a child of fork.
  bool publish(const T& message) {
    return ring_->publish(std::as_bytes(std::span{std::addressof(message), 1}));
  }

  // The writer before died in its role: the message it was about to publish may be lost.
  bool took_over() const noexcept { return took_over_; }

 private:
  friend class Broadcast;
  Writer(const detail::BroadcastRing& ring, bool took_over) : ring_{ring}, took_over_{took_over} {}

  std::optional<detail::BroadcastRing> ring_;
  bool took_over_;
};

// A place in the row of messages. A value of the process that made it: a copy goes on from the same
// place by itself, in a child of fork as well. For one thread at a time, and not longer than its
// Broadcast.
template <Trivial T>
class Broadcast<T>::Reader {
 public:
  // The next message. read() waits for one. nullopt: closed, and all are read; or there is none
  // yet, or none until the time came.
  std::optional<T> read() { return read_until(Deadline::never()); }
  std::optional<T> try_read() {
    return taken([&](auto message) { return ring_.try_read(position_, message); });
  }
  std::optional<T> read_until(Deadline deadline) {
    return taken([&](auto message) { return ring_.read(position_, message, deadline); });
  }
  template <typename Rep, typename Period>
  std::optional<T> read_for(std::chrono::duration<Rep, Period> time) {
    return read_until(detail::deadline_of(time));
  }

  // Whether read() would not wait: for wait_any().
  bool ready() const noexcept { return ring_.published() != position_.next || ring_.is_closed(); }

  // How many messages this reader has not seen, because they were overwritten before.
  std::uint64_t missed() const noexcept { return position_.missed; }

  // The number of the message that comes next, if it is not missed: the first one of all was 0.
  std::uint64_t position() const noexcept { return position_.next; }

 private:
  friend class Broadcast;
  Reader(const detail::BroadcastRing& ring, std::uint64_t next)
      : ring_{ring}, position_{.next = next} {}

  template <typename Read>
  std::optional<T> taken(Read read) {
    std::array<std::byte, sizeof(T)> bytes;
    if (read(std::span{bytes}) != detail::BroadcastRing::Outcome::message) return std::nullopt;
    return Codec<T>::decode(bytes);
  }

  detail::BroadcastRing ring_;
  detail::BroadcastRing::Position position_;
};

}  // namespace procpool::ipc
