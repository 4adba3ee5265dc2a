#include "ipc/detail/broadcast_ring.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>

#include "ipc/base/error.hpp"
#include "ipc/base/owner.hpp"

namespace procpool::ipc::detail {
namespace {

using Word = std::atomic<std::uint64_t>;

constexpr std::size_t kCacheLine = 64;
constexpr std::uint64_t kClosed = std::uint64_t{1} << 63U;

// After so many messages that were overwritten while they were read, a reader comes back later.
constexpr int kTries = 16;

constexpr std::uint64_t being_written(std::uint64_t number) {
  return 2 * number + 1;
}
constexpr std::uint64_t written(std::uint64_t number) {
  return 2 * number + 2;
}

[[noreturn]] void throw_corrupted() {
  throw Error{"use", "broadcast", "its memory is corrupted"};
}

}  // namespace

struct BroadcastRing::State {
  alignas(kCacheLine) Word head = 0;  // how many messages were published, and kClosed
  alignas(kCacheLine) EventCount published;
  EventCount resigned;
  Word writer = 0;  // Owner word of its process
  Word takeovers = 0;
};

std::size_t BroadcastRing::Geometry::check() const {
  constexpr std::string_view kOperation = "make broadcast";
  if (capacity == 0 || capacity > kMostSlots) {
    throw Error{kOperation, std::to_string(capacity), "its capacity is 1 to 2^31 messages"};
  }
  const std::size_t slot_bytes = sizeof(Word) * (1 + words());
  if (slot_bytes > PTRDIFF_MAX / capacity) {
    throw_errno(kOperation, std::to_string(capacity), ENOMEM);
  }
  return sizeof(State) + slot_bytes * capacity;
}

// The slots are zero, which says: not written yet.
void BroadcastRing::construct(std::byte* memory) {
  new (memory) State;
}

BroadcastRing::BroadcastRing(std::byte* memory, const Geometry& geometry) noexcept
    : state_{std::launder(reinterpret_cast<State*>(memory))},
      slots_{reinterpret_cast<Word*>(memory + sizeof(State))},
      geometry_{geometry} {}

bool BroadcastRing::try_become_writer(bool& took_over) {
  const std::uint64_t me = Owner::this_process().word();
  std::uint64_t writer = state_->writer.load(std::memory_order_relaxed);
  took_over = writer != 0;
  if (took_over && (Owner{writer} == Owner{me} || !Owner{writer}.process_is_dead())) return false;
  // Acquires what the one before has published.
  if (!state_->writer.compare_exchange_strong(writer, me, std::memory_order_acquire)) return false;
  if (took_over) state_->takeovers.fetch_add(1, std::memory_order_relaxed);
  return true;
}

bool BroadcastRing::become_writer(Deadline deadline, bool& took_over) {
  for (;;) {
    const auto seen = state_->resigned.prepare();
    if (try_become_writer(took_over)) return true;
    if (deadline.expired()) return false;
    state_->resigned.wait(seen, deadline);
  }
}

void BroadcastRing::resign() noexcept {
  std::uint64_t writer = state_->writer.load(std::memory_order_relaxed);
  const bool is_mine = Owner{writer}.id() == ::getpid();
  if (is_mine && state_->writer.compare_exchange_strong(writer, 0)) state_->resigned.notify_one();
}

// Killed before the last step, it leaves the number to its successor, and loses the oldest message.
bool BroadcastRing::publish(std::span<const std::byte> message) {
  if (state_->writer.load(std::memory_order_relaxed) != Owner::this_process().word()) {
    throw_errno("publish", "broadcast", EPERM);
  }
  std::uint64_t head = state_->head.load(std::memory_order_relaxed);
  if ((head & kClosed) != 0) return false;
  Word* const sequence = slot(head);
  // Released: who sees it sees `head`, too. The fence keeps the words behind it.
  sequence->store(being_written(head), std::memory_order_release);
  std::atomic_thread_fence(std::memory_order_release);
  for (std::size_t at = 0, word = 1; at < message.size(); at += 8, ++word) {
    std::uint64_t value = 0;
    std::memcpy(&value, message.data() + at, std::min<std::size_t>(8, message.size() - at));
    sequence[word].store(value, std::memory_order_relaxed);
  }
  sequence->store(written(head), std::memory_order_release);
  if (!state_->head.compare_exchange_strong(head, head + 1)) {
    if ((head & kClosed) != 0) return false;
    throw_corrupted();
  }
  state_->published.notify_all();
  return true;
}

// False: it was overwritten before, or while it was copied.
bool BroadcastRing::try_copy(std::uint64_t number, std::span<std::byte> message) const {
  const Word* const sequence = slot(number);
  const std::uint64_t before = sequence->load(std::memory_order_acquire);
  if (before != written(number)) {
    const std::uint64_t newest = written(published());
    if (before < written(number) || before > newest) throw_corrupted();
    return false;
  }
  for (std::size_t at = 0, word = 1; at < message.size(); at += 8, ++word) {
    const std::uint64_t value = sequence[word].load(std::memory_order_relaxed);
    std::memcpy(message.data() + at, &value, std::min<std::size_t>(8, message.size() - at));
  }
  // With the writer's fence: whoever has read a word of a later message sees its sequence.
  std::atomic_thread_fence(std::memory_order_acquire);
  return sequence->load(std::memory_order_relaxed) == before;
}

// Where the oldest message is just being overwritten the next one is tried; but a reader whom a
// fast writer overtakes twice goes on from the middle of the ring, or it would be again at once.
BroadcastRing::Outcome BroadcastRing::try_read(Position& position,
                                               std::span<std::byte> message) const {
  std::uint64_t keep = geometry_.capacity;
  for (int tries = 0; tries < kTries; ++tries) {
    const std::uint64_t head = state_->head.load();
    const std::uint64_t count = head & ~kClosed;
    if (count < position.next) throw_corrupted();
    if (count == position.next) return head == count ? Outcome::nothing : Outcome::closed;
    if (count - position.next > keep) {
      position.missed += count - keep - position.next;
      position.next = count - keep;
    }
    if (try_copy(position.next, message)) {
      ++position.next;
      return Outcome::message;
    }
    ++position.missed;
    ++position.next;
    if (tries > 0) keep = (geometry_.capacity + 1) / 2;
  }
  return Outcome::nothing;
}

BroadcastRing::Outcome BroadcastRing::read(Position& position, std::span<std::byte> message,
                                           Deadline deadline) const {
  Outcome outcome = try_read(position, message);
  while (outcome == Outcome::nothing && !deadline.expired()) {
    const auto seen = state_->published.prepare();
    outcome = try_read(position, message);
    if (outcome == Outcome::nothing) state_->published.wait(seen, deadline);
  }
  return outcome;
}

void BroadcastRing::close() noexcept {
  state_->head.fetch_or(kClosed);
  state_->published.notify_all();
}

bool BroadcastRing::is_closed() const noexcept {
  return (state_->head.load(std::memory_order_relaxed) & kClosed) != 0;
}

std::uint64_t BroadcastRing::published() const noexcept {
  return state_->head.load(std::memory_order_acquire) & ~kClosed;
}

std::uint64_t BroadcastRing::takeovers() const noexcept {
  return state_->takeovers.load(std::memory_order_relaxed);
}

}  // namespace procpool::ipc::detail
