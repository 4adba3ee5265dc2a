#include "ipc/detail/ring.hpp"

#include <algorithm>
#include <bit>
#include <mutex>
#include <new>
#include <string>

#include "ipc/base/error.hpp"
#include "ipc/base/futex.hpp"

namespace procpool::ipc::detail {
namespace {

using Phase = Slot::Phase;

// A waiter stays awake for as long as that paid lately, and these are its bounds.
constexpr int kFewestSpins = 40;
constexpr int kMostSpins = 4096;

// A holder is asked for its death after this long only: most of them are about to be done.
constexpr int kSpinsBeforeAsking = 64;

[[noreturn]] void throw_corrupted() {
  throw Error{"use", "queue", "its memory is corrupted"};
}

void advance(std::atomic<std::uint64_t>& hint, std::uint64_t position) noexcept {
  if (hint.load(std::memory_order_relaxed) < position) {
    hint.store(position, std::memory_order_relaxed);
  }
}

// A way along the slots from a hint on, which ends even if they hold rubbish.
class Walk {
 public:
  Walk(const std::atomic<std::uint64_t>& hint, std::size_t capacity) noexcept
      : hint_{hint}, start_{hint.load(std::memory_order_relaxed)}, capacity_{capacity} {
    position = start_;
  }

  void step(std::uint64_t slots) {
    position += slots;
    if (++steps_ < kMostLaps * capacity_ + kMostRetries) return;
    // Those who advance the hint meanwhile do work, and may well be faster.
    const std::uint64_t hint = hint_.load(std::memory_order_relaxed);
    if (hint == start_) throw_corrupted();
    start_ = hint;
    steps_ = 0;
  }
  // The slot is some laps ahead, so the position before it in this slot was claimed once, and for
  // that every one before had to be: no producer has to look at them.
  void pass_claimed(std::int64_t laps_ahead) {
    step((static_cast<std::uint64_t>(laps_ahead) - 1) * capacity_ + 1);
  }
  // But it may have been abandoned while messages before it were still unread: only what lies
  // another lap back is over, because the same slots were claimed again since.
  void pass_read(std::int64_t laps_ahead) {
    pass_claimed(std::max<std::int64_t>(laps_ahead - 1, 1));
  }
  void skip(Slot range) { step(std::clamp<std::uint64_t>(range.count(), 1, capacity_)); }
  void try_again() { step(0); }

  std::uint64_t position = 0;

 private:
  static constexpr std::uint64_t kMostLaps = 16;
  static constexpr std::uint64_t kMostRetries = 1024;

  const std::atomic<std::uint64_t>& hint_;
  std::uint64_t start_;
  std::uint64_t capacity_;
  std::uint64_t steps_ = 0;
};

}  // namespace

void RingGeometry::check() const {
  const auto refuse = [](std::string_view what) { throw Error{"make", "queue", what}; };
  if (capacity == 0) refuse("its capacity is 0");
  if (capacity > kMostSlots) refuse("its capacity is more than " + std::to_string(kMostSlots));
  if (cell_size == 0) refuse("its messages have no room");
  if (members == 0) refuse("no process may use it");
  if (members > Slot::kMostOwner) {
    refuse("more than " + std::to_string(Slot::kMostOwner) + " processes");
  }
  if (cell_size > (PTRDIFF_MAX - SharedMemory::kHeaderSize - cells_at()) / capacity) {
    refuse("it is larger than an address space");
  }
}

void Ring::construct(std::byte* memory) {
  new (memory) RingState;  // the rest is right as zeroes
}

Ring::Ring(std::byte* memory, const RingGeometry& geometry) noexcept
    : state_{std::launder(reinterpret_cast<RingState*>(memory))},
      members_{reinterpret_cast<RingState::Member*>(memory + sizeof(RingState))},
      slots_{reinterpret_cast<std::atomic<std::uint64_t>*>(memory + geometry.slots_at())},
      cells_{memory + geometry.cells_at()},
      geometry_{geometry},
      shift_{static_cast<unsigned>(std::countr_zero(geometry.capacity))},
      is_power_of_two_{std::has_single_bit(geometry.capacity)} {}

Ring::~Ring() {
  const std::uint64_t joined = joined_.load();
  if (joined == 0 || Owner{joined} != Owner::this_process()) return;
  RingState::Member& own = members_[number_in(joined) - 1];
  own.credits.store(0);
  own.process.store(0);
}

std::uint64_t Ring::member() {
  const std::uint64_t number = joined_number();
  return number != 0 ? number : join(Owner::this_process().word());
}

std::uint64_t Ring::join(std::uint64_t process) {
  auto number = take_free_number(process);
  if (!number) {
    const std::scoped_lock lock{state_->administration};
    finish_reaping();
    for (std::uint64_t i = 1; i <= geometry_.members; ++i) {
      if (is_dead(i)) sweep(i);
    }
    number = take_free_number(process);
  }
  if (!number) {
    throw Error{"join", "queue",
                std::to_string(geometry_.members) + " processes use it, which is all it allows"};
  }
  std::uint64_t before = joined_.load();
  const std::uint64_t joined = process | *number * Owner::kFirstFlag;
  if (Owner{before}.word() == process || !joined_.compare_exchange_strong(before, joined)) {
    members_[*number - 1].process.store(0);  // another thread was faster
    return number_in(before);
  }
  return *number;
}

std::optional<std::uint64_t> Ring::take_free_number(std::uint64_t process) {
  for (std::uint64_t i = 1; i <= geometry_.members; ++i) {
    std::uint64_t nobody = 0;
    if (members_[i - 1].process.compare_exchange_strong(nobody, process)) return i;
  }
  return std::nullopt;
}

std::size_t Ring::free_slots_at(std::uint64_t position, std::size_t most) const noexcept {
  std::size_t count = 0;
  while (count < most && slot(position + count).load(std::memory_order_acquire) ==
                             Slot::free(lap_of(position + count)).word) {
    ++count;
  }
  return count;
}

std::size_t Ring::messages_at(std::uint64_t position, std::size_t most) const noexcept {
  std::size_t count = 0;
  while (count < most && slot(position + count).load(std::memory_order_acquire) ==
                             Slot::ready(lap_of(position + count), 1, false).word) {
    ++count;
  }
  return count;
}

Ring::Attempt Ring::attempt_space(const Wanted& wanted) {
  if (is_closed()) return {Outcome::closed, {}, 0, {}};
  const std::uint64_t me = member();
  Walk walk{state_->tail, geometry_.capacity};
  for (;;) {
    const std::uint64_t lap = lap_of(walk.position);
    std::atomic<std::uint64_t>& word = slot(walk.position);
    Slot seen{word.load(std::memory_order_acquire)};
    const std::int64_t ahead = seen.ahead_of(lap);
    if (ahead > 0) {
      walk.pass_claimed(ahead);
    } else if (ahead < 0) {
      return {Outcome::nothing, {}, walk.position, seen};
    } else if (seen.is_closed()) {
      return {Outcome::closed, {}, walk.position, seen};
    } else if (seen.phase() != Phase::free) {
      walk.skip(seen);
    } else {
      const std::size_t found = wanted.most == 1 ? 1 : free_slots_at(walk.position, wanted.most);
      if (found < wanted.least) {
        // Not even the first: it was taken between the two looks.
        if (found == 0) {
          walk.try_again();
          continue;
        }
        const std::uint64_t end = walk.position + found;
        return {Outcome::nothing, {}, end, Slot{slot(end).load(std::memory_order_acquire)}};
      }
      const Slot mine = Slot::taken(Phase::writing, lap, me, found, wanted.whole);
      if (word.compare_exchange_strong(seen.word, mine.word, std::memory_order_acquire)) {
        advance(state_->tail, walk.position + found);
        return {Outcome::claimed, {walk.position, found, wanted.whole}, walk.position, mine};
      }
      walk.try_again();
    }
  }
}

Ring::Attempt Ring::attempt_messages(std::size_t most) {
  const std::uint64_t me = member();
  Walk walk{state_->head, geometry_.capacity};
  for (;;) {
    const std::uint64_t lap = lap_of(walk.position);
    std::atomic<std::uint64_t>& word = slot(walk.position);
    Slot seen{word.load(std::memory_order_acquire)};
    const std::int64_t ahead = seen.ahead_of(lap);
    if (ahead > 0) {
      walk.pass_read(ahead);
      continue;
    }
    if (ahead < 0) return {Outcome::nothing, {}, walk.position, seen};
    switch (seen.phase()) {
      case Phase::reading:
        walk.skip(seen);
        continue;
      case Phase::writing:
        return {Outcome::nothing, {}, walk.position, seen};
      case Phase::free:
        // The end is definite when no producer can claim this slot any more.
        if (!is_closed()) return {Outcome::nothing, {}, walk.position, seen};
        word.compare_exchange_strong(seen.word, Slot::closed(lap).word);
        walk.try_again();
        continue;
      case Phase::ready:
        break;
    }
    if (seen.is_closed()) return {Outcome::closed, {}, walk.position, seen};
    const bool one = most == 1 || seen.count() != 1 || seen.whole();
    const std::size_t found = one ? std::min<std::size_t>(seen.count(), geometry_.capacity)
                                  : std::max<std::size_t>(1, messages_at(walk.position, most));
    const Slot mine = Slot::taken(Phase::reading, lap, me, found, seen.whole());
    if (word.compare_exchange_strong(seen.word, mine.word, std::memory_order_acquire)) {
      advance(state_->head, walk.position + found);
      return {Outcome::claimed, {walk.position, found, seen.whole()}, walk.position, mine};
    }
    walk.try_again();
  }
}

// The debt comes before the message, so that at no instant a message is taken that nobody owes.
Ring::Attempt Ring::attempt_tasks(std::size_t most) {
  if (!geometry_.joinable) return attempt_messages(most);
  std::atomic<std::uint64_t>& credits = members_[member() - 1].credits;
  credits.fetch_add(most);
  const auto give_back = [&](std::size_t count) {
    if (count > 0 && credits.fetch_sub(count) == count) state_->finished.notify_all();
  };
  try {
    const Attempt attempt = attempt_messages(most);
    const bool claimed = attempt.outcome == Outcome::claimed;
    give_back(most - (claimed ? attempt.met.messages() : 0));
    return attempt;
  } catch (...) {
    give_back(most);
    throw;
  }
}

template <typename Try>
Ring::Claim Ring::claim_now(Try attempt) {
  for (;;) {
    const Attempt last = attempt();
    if (!last.met_a_holder() || !reap_if_dead(last)) return {last.outcome, last.range};
  }
}

template <typename Try>
Ring::Claim Ring::claim_by(Deadline deadline, EventCount& changed, std::atomic<int>& spins,
                           Try attempt) {
  const int most = std::clamp(spins.load(std::memory_order_relaxed), kFewestSpins, kMostSpins);
  for (int i = 0; i < most;) {
    const Attempt last = attempt();
    if (last.outcome != Outcome::nothing) {
      if (i > 0) spins.store(most * 2, std::memory_order_relaxed);
      return {last.outcome, last.range};
    }
    do {
      spin_pause();
      // Whoever holds it is about to give it, and to claim it needs the line for oneself alone.
      if (last.met.is_taken()) prefetch_to_write(&slot(last.position));
    } while (++i < most && slot(last.position).load(std::memory_order_relaxed) == last.met.word);
  }
  spins.store(most / 2, std::memory_order_relaxed);
  for (;;) {
    const std::uint32_t seen = changed.prepare();
    const Attempt last = attempt();
    if (last.outcome != Outcome::nothing) return {last.outcome, last.range};
    if (last.met_a_holder() && reap_if_dead(last)) continue;
    if (deadline.expired()) return {Outcome::timed_out, {}};
    changed.wait(seen, deadline);
  }
}

Ring::Claim Ring::try_claim_space(const Wanted& wanted) {
  return claim_now([&] { return attempt_space(wanted); });
}

Ring::Claim Ring::claim_space(const Wanted& wanted, Deadline deadline) {
  return claim_by(deadline, state_->emptied, spins_for_space_,
                  [&] { return attempt_space(wanted); });
}

Ring::Claim Ring::try_claim_messages(std::size_t most) {
  return claim_now([&] { return attempt_tasks(most); });
}

Ring::Claim Ring::claim_messages(std::size_t most, Deadline deadline) {
  return claim_by(deadline, state_->filled, spins_for_messages_,
                  [&] { return attempt_tasks(most); });
}

// From the last to the first, whose word is the owner's for all of them.
void Ring::publish(const Range& range) {
  if (!range.whole) {
    for (std::size_t i = range.slots - 1; i > 0; --i) {
      const std::uint64_t position = range.position + i;
      slot(position).store(Slot::ready(lap_of(position), 1, false).word, std::memory_order_release);
    }
  }
  const std::size_t count = range.whole ? range.slots : 1;
  // A sequentially consistent exchange: what is published is seen by whoever prepares to sleep.
  slot(range.position).exchange(Slot::ready(lap_of(range.position), count, range.whole).word);
  state_->filled.notify(range.whole ? 1 : range.slots);
}

void Ring::abandon(const Range& range) {
  free_slots(range);
  state_->emptied.notify(range.slots);
  state_->filled.notify(range.slots);  // what lies behind it has come to the head
}

// Those who wait for room may want more of it than there is, and one of them may be woken in vain.
void Ring::release(const Range& range) {
  free_slots(range);
  if (range.whole) {
    state_->emptied.notify_all();
  } else {
    state_->emptied.notify(range.slots);
  }
}

void Ring::free_slots(const Range& range) noexcept {
  for (std::size_t i = range.slots - 1; i > 0; --i) {
    const std::uint64_t position = range.position + i;
    slot(position).store(Slot::free(lap_of(position) + 1).word, std::memory_order_release);
  }
  slot(range.position).exchange(Slot::free(lap_of(range.position) + 1).word);
}

void Ring::close() {
  state_->closed.exchange(1);
  state_->filled.notify_all();
  state_->emptied.notify_all();
}

std::size_t Ring::size() const noexcept {
  const std::uint64_t tail = state_->tail.load(std::memory_order_relaxed);
  const std::uint64_t head = state_->head.load(std::memory_order_relaxed);
  return tail < head ? 0 : std::min<std::size_t>(tail - head, geometry_.capacity);
}

bool Ring::is_dead(std::uint64_t member) const {
  if (member == 0 || member > geometry_.members) throw_corrupted();
  const Owner process{members_[member - 1].process.load()};
  return process == kNobody || process.process_is_dead();
}

bool Ring::reap_if_dead(const Attempt& attempt) {
  const std::uint64_t index = index_of(attempt.position);
  for (int i = 0; i < kSpinsBeforeAsking; ++i) {
    if (slots_[index].load(std::memory_order_relaxed) != attempt.met.word) return true;
    spin_pause();
  }
  if (!is_dead(attempt.met.owner())) return false;
  const std::unique_lock lock{state_->administration, std::try_to_lock};
  if (!lock) return false;
  finish_reaping();
  if (slots_[index].load() == attempt.met.word) reap(index, attempt.met);
  return true;
}

Ring::Range Ring::range_of(std::uint64_t index, Slot taken) const {
  if (taken.count() == 0 || taken.count() > geometry_.capacity) throw_corrupted();
  return {taken.lap() * geometry_.capacity + index, taken.count(), taken.whole()};
}

// What is lost is counted exactly once, wherever a reaper is killed: it writes down first what the
// counters will be.
void Ring::reap(std::uint64_t index, Slot taken) {
  const Range range = range_of(index, taken);
  const std::uint64_t lost = taken.messages();
  const bool by_producer = taken.phase() == Phase::writing;
  RingState::Reaping& reaping = state_->reaping;
  reaping.slot = index;
  reaping.word = taken.word;
  reaping.lost_by_producers = state_->lost_by_producers + (by_producer ? lost : 0);
  reaping.lost_by_consumers = state_->lost_by_consumers + (by_producer ? 0 : lost);
  reaping.begun.store(true);
  free_slots(range);
  finish_reaping();
}

void Ring::finish_reaping() {
  RingState::Reaping& reaping = state_->reaping;
  if (!reaping.begun.load()) return;
  if (reaping.slot >= geometry_.capacity) throw_corrupted();
  if (slots_[reaping.slot].load() == reaping.word) {
    free_slots(range_of(reaping.slot, Slot{reaping.word}));
  }
  state_->lost_by_producers = reaping.lost_by_producers;
  state_->lost_by_consumers = reaping.lost_by_consumers;
  reaping.begun.store(false);
  state_->emptied.notify_all();
  state_->filled.notify_all();
}

// What a reaper that was killed has freed, but not counted yet.
void Ring::finish_reaping_of_the_dead() {
  if (!state_->reaping.begun.load()) return;
  const std::unique_lock lock{state_->administration, std::try_to_lock};
  if (lock) finish_reaping();
}

std::uint64_t Ring::lost_by_producers() {
  finish_reaping_of_the_dead();
  return state_->lost_by_producers.load();
}

std::uint64_t Ring::lost_by_consumers() {
  finish_reaping_of_the_dead();
  return state_->lost_by_consumers.load();
}

// Of a dead process: frees all that it held, and then its number. Nobody holds anything by that
// number afterwards, so it may be another one's.
void Ring::sweep(std::uint64_t member) {
  for (std::uint64_t index = 0; index < geometry_.capacity; ++index) {
    const Slot seen{slots_[index].load()};
    if (seen.is_taken() && seen.owner() == member) reap(index, seen);
  }
  members_[member - 1].credits.store(0);
  members_[member - 1].process.store(0);
}

bool Ring::task_done() {
  std::atomic<std::uint64_t>& credits = members_[member() - 1].credits;
  std::uint64_t owed = credits.load();
  do {
    if (owed == 0) return false;
  } while (!credits.compare_exchange_weak(owed, owed - 1));
  if (owed == 1) state_->finished.notify_all();
  return true;
}

Ring::Attempt Ring::look_at_head() const {
  Walk walk{state_->head, geometry_.capacity};
  for (;;) {
    const Slot seen{slot(walk.position).load()};
    const std::int64_t ahead = seen.ahead_of(lap_of(walk.position));
    if (ahead > 0) {
      walk.pass_read(ahead);
    } else if (ahead == 0 && seen.phase() == Phase::reading) {
      walk.skip(seen);
    } else if (ahead == 0 && seen.phase() == Phase::ready) {
      return {seen.is_closed() ? Outcome::closed : Outcome::claimed, {}, walk.position, seen};
    } else {
      return {Outcome::nothing, {}, walk.position, seen};
    }
  }
}

bool Ring::has_messages() {
  for (;;) {
    const Attempt look = look_at_head();
    if (look.outcome != Outcome::nothing) return true;
    if (look.met_a_holder()) {
      if (!reap_if_dead(look)) return false;
    } else {
      return is_closed();
    }
  }
}

// Whatever was taken before the first look is owed by then, and between the two nothing came.
bool Ring::is_finished() const {
  const auto is_empty = [](const Attempt& look) {
    return look.outcome == Outcome::closed ||
           (look.outcome == Outcome::nothing && !look.met.is_taken());
  };
  const Attempt before = look_at_head();
  if (!is_empty(before)) return false;
  for (std::uint64_t i = 1; i <= geometry_.members; ++i) {
    if (members_[i - 1].credits.load() != 0 && !is_dead(i)) return false;
  }
  const Attempt after = look_at_head();
  return is_empty(after) && after.position == before.position;
}

bool Ring::wait_finished(Deadline deadline) {
  for (;;) {
    const std::uint32_t seen = state_->finished.prepare();
    if (const Attempt look = look_at_head(); look.met_a_holder()) reap_if_dead(look);
    if (is_finished()) return true;
    if (deadline.expired()) return false;
    state_->finished.wait(seen, deadline);
  }
}

}  // namespace procpool::ipc::detail
