// The slots of a queue in shared memory: claimed, published, taken and freed by one word each, so
// that no instant exists in which one is held by nobody known. Queue<T> gives them a type.
//
// A producer claims the slot at the tail, and a consumer the one at the head, by a compare-and-swap
// on the slot itself; `tail` and `head` are hints that anybody may be behind with. A slot whose
// owner is proven dead is freed by whoever it blocks, under the lock of the administration, and
// what was in it is counted as lost.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "ipc/base/deadline.hpp"
#include "ipc/base/event_count.hpp"
#include "ipc/base/futex.hpp"
#include "ipc/base/owner.hpp"
#include "ipc/detail/slot.hpp"
#include "ipc/mutex.hpp"
#include "ipc/shared_memory.hpp"

namespace procpool::ipc::detail {

inline constexpr std::size_t kCacheLine = 64;

// What lies at the beginning of the memory; behind it the members, the slots, and the cells.
struct RingState {
  struct alignas(kCacheLine) Member {
    std::atomic<std::uint64_t> process = 0;  // Owner word; 0: free
    std::atomic<std::uint64_t> credits = 0;  // messages taken whose task is not done
  };
  // What a reaper is about to do, for the one that takes over from it.
  struct Reaping {
    std::atomic<bool> begun = false;
    std::uint64_t slot = 0;
    std::uint64_t word = 0;
    std::uint64_t lost_by_producers = 0;  // afterwards
    std::uint64_t lost_by_consumers = 0;
  };

  // What producers write at every message, what consumers do, and what either tells the other: each
  // on a line of its own.
  alignas(kCacheLine) std::atomic<std::uint64_t> tail = 0;
  std::atomic<std::uint32_t> closed = 0;  // no further message is accepted
  alignas(kCacheLine) std::atomic<std::uint64_t> head = 0;
  alignas(kCacheLine) EventCount filled;
  std::atomic<std::uint32_t> bell = 0;  // somebody polls a descriptor
  alignas(kCacheLine) EventCount emptied;
  EventCount finished;  // for those who wait until all tasks are done
  alignas(kCacheLine) Mutex administration;
  Reaping reaping;
  std::atomic<std::uint64_t> lost_by_producers = 0;
  std::atomic<std::uint64_t> lost_by_consumers = 0;
};
static_assert(sizeof(RingState) + SharedMemory::kHeaderSize <= 4096);
static_assert(sizeof(RingState::Member) == kCacheLine);

// The sizes, which are the same in every process that uses the queue. They are kept outside the
// shared memory, where nobody can change them.
struct RingGeometry {
  std::size_t capacity;   // slots, 1 to kMostSlots
  std::size_t cell_size;  // bytes of payload a slot
  std::size_t members;    // processes at once, 1 to Slot::kMostOwner
  bool joinable;          // messages are tasks whose end is waited for

  static constexpr std::size_t kMostSlots = std::size_t{1} << 31U;

  void check() const;  // throws Error for sizes that cannot be
  std::size_t slots_at() const noexcept {
    return sizeof(RingState) + members * sizeof(RingState::Member);
  }
  std::size_t cells_at() const noexcept {
    return (slots_at() + capacity * sizeof(Slot) + kCacheLine - 1) / kCacheLine * kCacheLine;
  }
  std::size_t size() const noexcept { return cells_at() + capacity * cell_size; }
};

// One process's view of the slots. All threads of it may use one; a child of fork uses its copy and
// is a member of its own. What is claimed must be published, released or abandoned by the process
// that claimed it.
class Ring {
 public:
  enum class Outcome : std::uint8_t { claimed, nothing, closed, timed_out };

  struct Range {
    std::uint64_t position = 0;
    std::size_t slots = 0;
    bool whole = false;
  };
  struct Claim {
    Outcome outcome;
    Range range;
  };
  // How many slots: `least` or none at all, at most `most`, for one message or one message a slot.
  struct Wanted {
    std::size_t least = 1;
    std::size_t most = 1;
    bool whole = false;
  };

  static void construct(std::byte* memory);

  Ring(std::byte* memory, const RingGeometry& geometry) noexcept;
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring();

  // Space for messages, at the tail. try_ never blocks; `nothing`: it is full.
  Claim try_claim_space(const Wanted& wanted);
  Claim claim_space(const Wanted& wanted, Deadline deadline);
  void publish(const Range& range);
  void abandon(const Range& range);  // what was to be a message is none, and is not counted

  // Messages, at the head: one, or up to `most` that are one a slot. `nothing`: it is empty, or the
  // next one is being written.
  Claim try_claim_messages(std::size_t most);
  Claim claim_messages(std::size_t most, Deadline deadline);
  void release(const Range& range);
  bool has_messages();  // that could be claimed now, or the end

  // The same for one slot, when nothing is in the way; false: ask the functions above.
  bool claim_one_space(std::uint64_t& position) {
    if (is_closed()) return false;
    const std::uint64_t me = joined_number();
    position = state_->tail.load(std::memory_order_relaxed);
    const std::uint64_t lap = lap_of(position);
    // Without a look at the slot before, which would cost its line twice.
    std::uint64_t seen = Slot::free(lap).word;
    prefetch_to_write(cell(position));  // comes while the slot does
    if (me == 0 || !slot(position).compare_exchange_strong(
                       seen, Slot::taken(Slot::Phase::writing, lap, me, 1, false).word,
                       std::memory_order_acquire, std::memory_order_relaxed)) {
      return false;
    }
    state_->tail.store(position + 1, std::memory_order_relaxed);
    return true;
  }
  bool claim_one_message(std::uint64_t& position) {
    const std::uint64_t me = joined_number();
    position = state_->head.load(std::memory_order_relaxed);
    const std::uint64_t lap = lap_of(position);
    std::uint64_t seen = Slot::ready(lap, 1, false).word;
    __builtin_prefetch(cell(position));
    if (me == 0 || geometry_.joinable || slot(position).load(std::memory_order_relaxed) != seen ||
        !slot(position).compare_exchange_strong(
            seen, Slot::taken(Slot::Phase::reading, lap, me, 1, false).word,
            std::memory_order_acquire, std::memory_order_relaxed)) {
      return false;
    }
    state_->head.store(position + 1, std::memory_order_relaxed);
    return true;
  }
  // Sequentially consistent exchanges: what is done is seen by whoever prepares to sleep.
  void publish_one(std::uint64_t position) {
    slot(position).exchange(Slot::ready(lap_of(position), 1, false).word);
    state_->filled.notify_one();
  }
  void release_one(std::uint64_t position) {
    slot(position).exchange(Slot::free(lap_of(position) + 1).word);
    state_->emptied.notify_one();
  }

  std::uint64_t lost_by_producers();
  std::uint64_t lost_by_consumers();

  void close();
  bool is_closed() const noexcept { return state_->closed.load(std::memory_order_relaxed) != 0; }

  // Messages that are there, or taken but not freed yet: exact when nobody else is at it.
  std::size_t size() const noexcept;

  // Of a joinable one: whoever takes a message owes a word that its task is done. A process that
  // dies owes nothing any more.
  bool task_done();                       // false: this process owes none
  bool wait_finished(Deadline deadline);  // no message and no debt is left; false: timed out

  std::byte* cell(std::uint64_t position) const noexcept {
    return cells_ + index_of(position) * geometry_.cell_size;
  }
  // How many slots lie behind each other in memory, from this position on.
  std::size_t contiguous(std::uint64_t position) const noexcept {
    return geometry_.capacity - index_of(position);
  }
  const RingGeometry& geometry() const noexcept { return geometry_; }
  RingState& state() const noexcept { return *state_; }

 private:
  // What an attempt came to, and the slot that ended it.
  struct Attempt {
    Outcome outcome;
    Range range;
    std::uint64_t position;
    Slot met;

    bool met_a_holder() const noexcept { return outcome == Outcome::nothing && met.is_taken(); }
  };

  std::uint64_t index_of(std::uint64_t position) const noexcept {
    return is_power_of_two_ ? position & (geometry_.capacity - 1) : position % geometry_.capacity;
  }
  std::uint64_t lap_of(std::uint64_t position) const noexcept {
    return is_power_of_two_ ? position >> shift_ : position / geometry_.capacity;
  }
  std::atomic<std::uint64_t>& slot(std::uint64_t position) const noexcept {
    return slots_[index_of(position)];
  }

  static std::uint64_t number_in(std::uint64_t joined) noexcept {
    return (joined & Owner::kFlags) / Owner::kFirstFlag;
  }
  std::uint64_t joined_number() const {  // 0: this process has not joined
    const std::uint64_t joined = joined_.load(std::memory_order_relaxed);
    return Owner{joined} == Owner::this_process() ? number_in(joined) : 0;
  }
  std::uint64_t member();  // the number of this process, which joins if it has not
  std::uint64_t join(std::uint64_t process);
  std::optional<std::uint64_t> take_free_number(std::uint64_t process);

  Attempt attempt_space(const Wanted& wanted);
  Attempt attempt_messages(std::size_t most);
  Attempt attempt_tasks(std::size_t most);
  std::size_t free_slots_at(std::uint64_t position, std::size_t most) const noexcept;
  std::size_t messages_at(std::uint64_t position, std::size_t most) const noexcept;
  Attempt look_at_head() const;  // claims nothing

  template <typename Try>
  Claim claim_now(Try attempt);
  template <typename Try>
  Claim claim_by(Deadline deadline, EventCount& changed, std::atomic<int>& spins, Try attempt);

  // True: the slot is not as it was met any more.
  bool reap_if_dead(const Attempt& attempt);
  bool is_dead(std::uint64_t member) const;
  void finish_reaping();
  void finish_reaping_of_the_dead();
  void reap(std::uint64_t index, Slot taken);
  void sweep(std::uint64_t member);
  void free_slots(const Range& range) noexcept;
  Range range_of(std::uint64_t index, Slot taken) const;
  bool is_finished() const;

  RingState* state_;
  RingState::Member* members_;
  std::atomic<std::uint64_t>* slots_;
  std::byte* cells_;
  RingGeometry geometry_;
  unsigned shift_;
  bool is_power_of_two_;

  std::atomic<std::uint64_t> joined_ = 0;  // the Owner word of the process; its number as flags
  // How long it paid to wait awake.
  std::atomic<int> spins_for_space_ = 0;
  std::atomic<int> spins_for_messages_ = 0;
};

}  // namespace procpool::ipc::detail
