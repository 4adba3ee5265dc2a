// A bounded queue between processes, which no killed process stops.
//
//   ipc::Queue<Job> jobs{1024};                              // children of fork have it too
//   jobs.push(job);                                          // false: it is closed
//   while (auto next = jobs.pop()) work(*next);              // until it is closed and empty
//   auto by_name = ipc::Queue<Job>::open("/jobs", {.capacity = 1024});
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ipc/base/deadline.hpp"
#include "ipc/base/unique_fd.hpp"
#include "ipc/codec.hpp"
#include "ipc/detail/bell.hpp"
#include "ipc/detail/deadline_of.hpp"
#include "ipc/detail/ring.hpp"
#include "ipc/detail/type_hash.hpp"
#include "ipc/shared_memory.hpp"

namespace procpool::ipc {

// What all who use a queue must agree on.
struct QueueOptions {
  std::size_t capacity = 1024;  // messages, 1 to 2^31 (2^18 for types that are encoded)
  std::size_t message_bytes =
      248;  // room for one that is encoded; a larger one takes the room of several
  std::size_t processes = 64;  // that use it at once, 1 to 1023
  bool joinable = false;       // who takes a message says task_done(), and others join()
};

// The part of every Queue that does not depend on what its messages are.
class QueueBase {
 public:
  QueueBase(QueueBase&&) noexcept = default;
  QueueBase& operator=(QueueBase&& other) noexcept;
  ~QueueBase();

  // From now on nothing can be pushed; what is there can still be popped. For everybody, for ever;
  // wakes all who wait.
  void close();
  bool closed() const noexcept { return ring_->is_closed(); }

  // Exact while nobody else uses it. A message that is just being written or read counts; an
  // encoded one counts for every message whose room it takes.
  std::size_t size() const noexcept { return ring_->size(); }
  std::size_t capacity() const noexcept { return ring_->geometry().capacity; }
  bool empty() const noexcept { return size() == 0; }
  bool full() const noexcept { return size() == capacity(); }

  // Messages that were lost with a process that was killed while it wrote them, or while it read
  // them, in all processes since the queue was made. Such a loss is noticed by whoever it blocks.
  std::uint64_t lost_by_producers() const { return ring_->lost_by_producers(); }
  std::uint64_t lost_by_consumers() const { return ring_->lost_by_consumers(); }

  // A descriptor for a Poller, of this process: readable when ready() may say true. It is readable
  // 20 times a second besides, because whoever should have rung may have been killed. Once it was
  // asked for, a try_pop() that finds nothing makes it quiet. Throws Error (EMFILE). For one
  // thread.
  int fd();

  // Whether a try_pop() would find a message, or the end. Makes fd() quiet when not.
  bool ready();

  // Of a joinable queue: the task of a message that was popped is done. Throws Error when this
  // process has popped none that is not done.
  void task_done();

  // Of a joinable queue: waits until nothing is queued, and every task is done or its process dead.
  void join() { join_until(Deadline::never()); }
  bool join_until(Deadline deadline);  // false: timed out
  template <typename Rep, typename Period>
  bool join_for(std::chrono::duration<Rep, Period> time) {
    return join_until(detail::deadline_of(time));
  }

  // Of an anonymous queue: its two descriptors, lent, to be sent over a Channel to attach().
  struct Descriptors {
    int segment;
    int bell;
  };
  Descriptors descriptors() const noexcept { return {memory_.fd(), bell_.event()}; }

 protected:
  using Claim = detail::Ring::Claim;
  using Range = detail::Ring::Range;
  using Outcome = detail::Ring::Outcome;
  using Wanted = detail::Ring::Wanted;

  struct Shape {
    std::uint64_t type;
    detail::RingGeometry geometry;
  };

  explicit QueueBase(const Shape& shape);
  QueueBase(std::string_view name, const Shape& shape);
  QueueBase(UniqueFd segment, UniqueFd bell, const Shape& shape);

  Claim claim_space(const Wanted& wanted, Deadline deadline) {
    return ring_->claim_space(wanted, deadline);
  }
  void publish(const Range& range) {
    ring_->publish(range);
    ring_bell();
  }
  void publish_one(std::uint64_t position) {
    ring_->publish_one(position);
    ring_bell();
  }
  // What is not committed is abandoned, and what was read is given back, whatever is thrown.
  void abandon(const Range& range) {
    ring_->abandon(range);
    ring_bell();
  }
  void release(const Range& range) { ring_->release(range); }
  Claim try_claim_messages(std::size_t most);
  detail::Ring& ring() const noexcept { return *ring_; }

  // Bytes that begin in the first cell of a range, whole ones: its length, then itself.
  std::size_t slots_for(std::size_t bytes) const;  // throws Error EMSGSIZE
  void write(const Range& range, std::span<const std::byte> bytes);
  std::span<const std::byte> read(const Range& range, std::vector<std::byte>& scratch) const;

 private:
  void ring_bell() {
    if (ring_->state().bell.load() != 0) ring_bell_now();
  }
  void ring_bell_now();
  void leave() noexcept;

  SharedMemory memory_;
  detail::Bell bell_;
  std::unique_ptr<detail::Ring> ring_;
};

// Any number of producers and consumers, in any number of processes and threads; first in, first
// out. This object is one of any number of views of it: each process needs one, which all of its
// threads may use; a child of fork uses its copy. It lasts until the last view is gone.
//
// A process may be killed at any instruction. What it was about to push, or had begun to pop, is
// lost and counted (for a batch, the batch); everything else goes on within kLongestSleep. A
// stopped process (SIGSTOP) in the middle of a push is waited for, because the order is kept.
//
// T is trivially copyable and travels by copying its bytes, or has a Codec. x_for and x_until wait
// that long at most; try_x never waits. All throw Error when the memory is corrupted, or when more
// processes use the queue than it allows.
template <Encodable T>
class Queue : public QueueBase {
 public:
  class Loan;
  class Borrowed;

  static constexpr bool kTrivial = Trivial<T>;

  // Anonymous. Throws Error, as for sizes that cannot be.
  explicit Queue(std::size_t capacity) : Queue{QueueOptions{.capacity = capacity}} {}
  explicit Queue(const QueueOptions& options) : QueueBase{shape(options)} {}

  // The queue of this name, made if there is none; as in SharedMemory::open. Throws Error: it may
  // be in use with another T or other options.
  static Queue open(std::string_view name, const QueueOptions& options) {
    return Queue{name, options};
  }

  // An anonymous one whose descriptors came over a Channel. Throws Error.
  static Queue attach(UniqueFd segment, UniqueFd bell, const QueueOptions& options) {
    return Queue{std::move(segment), std::move(bell), options};
  }

  // Appends the message. push() waits for room. False: closed; or full, or timed out: closed()
  // tells. Throws Error EMSGSIZE for an encoded message larger than the queue.
  bool push(const T& message) { return push_until(message, Deadline::never()); }
  bool try_push(const T& message) {
    return push_by(message, [&](const Wanted& wanted) { return ring().try_claim_space(wanted); });
  }
  bool push_until(const T& message, Deadline deadline) {
    return push_by(message, [&](const Wanted& wanted) { return claim_space(wanted, deadline); });
  }
  template <typename Rep, typename Period>
  bool push_for(const T& message, std::chrono::duration<Rep, Period> time) {
    return push_until(message, detail::deadline_of(time));
  }

  // Takes the oldest message. pop() waits for one. nullopt: closed and empty; or empty, or timed
  // out. Throws what Codec<T>::decode throws; the message is gone then.
  std::optional<T> pop() { return pop_until(Deadline::never()); }
  std::optional<T> try_pop() {
    return pop_by([&] { return try_claim_messages(1); });
  }
  std::optional<T> pop_until(Deadline deadline) {
    return pop_by([&] { return ring().claim_messages(1, deadline); });
  }
  template <typename Rep, typename Period>
  std::optional<T> pop_for(std::chrono::duration<Rep, Period> time) {
    return pop_until(detail::deadline_of(time));
  }

  // Appends all of them, as many at a time as there is room for, and those behind each other.
  // Returns how many: fewer than all when it is closed; or full, or timed out.
  std::size_t push_batch(std::span<const T> messages)
    requires kTrivial
  {
    return push_batch_until(messages, Deadline::never());
  }
  std::size_t try_push_batch(std::span<const T> messages)
    requires kTrivial
  {
    return push_batch_by(messages,
                         [&](const Wanted& wanted) { return ring().try_claim_space(wanted); });
  }
  std::size_t push_batch_until(std::span<const T> messages, Deadline deadline)
    requires kTrivial
  {
    return push_batch_by(messages,
                         [&](const Wanted& wanted) { return claim_space(wanted, deadline); });
  }
  template <typename Rep, typename Period>
  std::size_t push_batch_for(std::span<const T> messages, std::chrono::duration<Rep, Period> time)
    requires kTrivial
  {
    return push_batch_until(messages, detail::deadline_of(time));
  }

  // Takes up to messages.size() of them, those that are there; pop_batch() waits for the first.
  // Returns how many; 0: as nullopt of pop().
  std::size_t pop_batch(std::span<T> messages)
    requires kTrivial
  {
    return pop_batch_until(messages, Deadline::never());
  }
  std::size_t try_pop_batch(std::span<T> messages)
    requires kTrivial
  {
    return taken_batch(messages, try_claim_messages(most_of(messages.size())));
  }
  std::size_t pop_batch_until(std::span<T> messages, Deadline deadline)
    requires kTrivial
  {
    return taken_batch(messages, ring().claim_messages(most_of(messages.size()), deadline));
  }
  template <typename Rep, typename Period>
  std::size_t pop_batch_for(std::span<T> messages, std::chrono::duration<Rep, Period> time)
    requires kTrivial
  {
    return pop_batch_until(messages, detail::deadline_of(time));
  }

  // Room in the queue in which the next message is written without a copy. nullopt: as a push that
  // says false. Those who push later come behind it, and are popped after it is committed.
  std::optional<Loan> loan()
    requires kTrivial
  {
    return loan_until(Deadline::never());
  }
  std::optional<Loan> try_loan()
    requires kTrivial
  {
    return lent(ring().try_claim_space({}));
  }
  std::optional<Loan> loan_until(Deadline deadline)
    requires kTrivial
  {
    return lent(claim_space({}, deadline));
  }

  // The oldest message, read where it lies. nullopt: as of pop().
  std::optional<Borrowed> borrow()
    requires kTrivial
  {
    return borrow_until(Deadline::never());
  }
  std::optional<Borrowed> try_borrow()
    requires kTrivial
  {
    return borrowed(try_claim_messages(1));
  }
  std::optional<Borrowed> borrow_until(Deadline deadline)
    requires kTrivial
  {
    return borrowed(ring().claim_messages(1, deadline));
  }

 private:
  Queue(std::string_view name, const QueueOptions& options) : QueueBase{name, shape(options)} {}
  Queue(UniqueFd segment, UniqueFd bell, const QueueOptions& options)
      : QueueBase{std::move(segment), std::move(bell), shape(options)} {}

  static Shape shape(const QueueOptions& options) {
    static_assert(alignof(T) <= detail::kCacheLine);
    const std::size_t cell = kTrivial ? sizeof(T) : (options.message_bytes + 15) / 8 * 8;
    return {.type = detail::hash_of_type<T>(
                {options.capacity, cell, options.processes, std::size_t{options.joinable}}),
            .geometry = {.capacity = options.capacity,
                         .cell_size = cell,
                         .members = options.processes,
                         .joinable = options.joinable}};
  }
  std::size_t most_of(std::size_t wanted) const noexcept {
    return std::min<std::size_t>({wanted, capacity(), detail::Slot::kMostCount});
  }
  T* message_at(std::uint64_t position) const noexcept {
    return std::launder(reinterpret_cast<T*>(ring().cell(position)));
  }

  template <typename ClaimSpace>
  bool push_by(const T& message, ClaimSpace claim_space) {
    if constexpr (kTrivial) {
      std::uint64_t position = 0;
      if (!ring().claim_one_space(position)) {
        const Claim claim = claim_space(Wanted{});
        if (claim.outcome != Outcome::claimed) return false;
        position = claim.range.position;
      }
      std::memcpy(ring().cell(position), std::addressof(message), sizeof(T));
      publish_one(position);
    } else {
      std::vector<std::byte> bytes;
      Codec<T>::encode(message, bytes);
      const std::size_t slots = slots_for(bytes.size());
      const Claim claim = claim_space(Wanted{.least = slots, .most = slots, .whole = true});
      if (claim.outcome != Outcome::claimed) return false;
      write(claim.range, bytes);
      publish(claim.range);
    }
    return true;
  }

  template <typename ClaimSpace>
  std::size_t push_batch_by(std::span<const T> messages, ClaimSpace claim_space) {
    std::size_t pushed = 0;
    while (pushed < messages.size()) {
      const Claim claim = claim_space(Wanted{.most = most_of(messages.size() - pushed)});
      if (claim.outcome != Outcome::claimed) break;
      const Range& range = claim.range;
      for_each_run(range, [&](std::uint64_t position, std::size_t done, std::size_t count) {
        std::memcpy(ring().cell(position), messages.data() + pushed + done, count * sizeof(T));
      });
      publish(range);
      pushed += range.slots;
    }
    return pushed;
  }

  template <typename ClaimMessage>
  std::optional<T> pop_by(ClaimMessage claim_message) {
    if constexpr (kTrivial) {
      if (std::uint64_t position = 0; ring().claim_one_message(position)) {
        std::optional<T> message{Codec<T>::decode({ring().cell(position), sizeof(T)})};
        ring().release_one(position);
        return message;
      }
    }
    return taken(claim_message());
  }

  std::optional<T> taken(const Claim& claim) {
    if (claim.outcome != Outcome::claimed) return std::nullopt;
    const Returned returned{*this, claim.range};
    if constexpr (kTrivial) {
      return Codec<T>::decode({ring().cell(claim.range.position), sizeof(T)});
    } else {
      std::vector<std::byte> scratch;
      return Codec<T>::decode(read(claim.range, scratch));
    }
  }

  std::size_t taken_batch(std::span<T> messages, const Claim& claim) {
    if (claim.outcome != Outcome::claimed) return 0;
    const std::size_t slots = std::min(claim.range.slots, messages.size());
    for_each_run({claim.range.position, slots, false},
                 [&](std::uint64_t position, std::size_t done, std::size_t count) {
                   std::memcpy(messages.data() + done, ring().cell(position), count * sizeof(T));
                 });
    release(claim.range);
    return slots;
  }

  // The range ends at the end of the memory and goes on at its beginning.
  template <typename Run>
  void for_each_run(const Range& range, Run run) const {
    for (std::size_t done = 0; done < range.slots;) {
      const std::uint64_t position = range.position + done;
      const std::size_t count = std::min(range.slots - done, ring().contiguous(position));
      run(position, done, count);
      done += count;
    }
  }

  std::optional<Loan> lent(const Claim& claim) {
    if (claim.outcome != Outcome::claimed) return std::nullopt;
    return Loan{*this, claim.range};
  }
  std::optional<Borrowed> borrowed(const Claim& claim) {
    if (claim.outcome != Outcome::claimed) return std::nullopt;
    return Borrowed{*this, claim.range};
  }

  struct Returned {
    Queue& queue;
    Range range;
    Returned(Queue& from, const Range& what) : queue{from}, range{what} {}
    Returned(const Returned&) = delete;
    Returned& operator=(const Returned&) = delete;
    ~Returned() { queue.release(range); }
  };
};

// A message that is being written in the queue. Its bytes are what an earlier message left there.
// Move only; of the process that has it, and not longer than its Queue. When it is destroyed
// without commit() there is no message.
template <Encodable T>
class Queue<T>::Loan {
 public:
  Loan(Loan&& other) noexcept
      : queue_{std::exchange(other.queue_, nullptr)}, range_{other.range_} {}
  Loan& operator=(Loan&&) = delete;
  ~Loan() {
    if (queue_ != nullptr) queue_->abandon(range_);
  }

  T& operator*() const noexcept { return *queue_->message_at(range_.position); }
  T* operator->() const noexcept { return queue_->message_at(range_.position); }

  void commit() { std::exchange(queue_, nullptr)->publish(range_); }  // once

 private:
  friend class Queue;
  Loan(Queue& queue, const Range& range) noexcept : queue_{&queue}, range_{range} {}

  Queue* queue_;
  Range range_;
};

// A message that is being read in the queue, and is given back when this is destroyed. Move only;
// of the process that has it, and not longer than its Queue.
template <Encodable T>
class Queue<T>::Borrowed {
 public:
  Borrowed(Borrowed&& other) noexcept
      : queue_{std::exchange(other.queue_, nullptr)}, range_{other.range_} {}
  Borrowed& operator=(Borrowed&&) = delete;
  ~Borrowed() {
    if (queue_ != nullptr) queue_->release(range_);
  }

  const T& operator*() const noexcept { return *queue_->message_at(range_.position); }
  const T* operator->() const noexcept { return queue_->message_at(range_.position); }

 private:
  friend class Queue;
  Borrowed(Queue& queue, const Range& range) noexcept : queue_{&queue}, range_{range} {}

  Queue* queue_;
  Range range_;
};

}  // namespace procpool::ipc
