#include "ipc/barrier.hpp"

#include <algorithm>
#include <cerrno>

#include "ipc/base/error.hpp"
#include "ipc/detail/await.hpp"

namespace procpool::ipc {
namespace {

// In which round the party has arrived last stands in the flags beside the Owner: 0 is none. They
// hold a remainder of it; who has not arrived since a round with the same one, has left out 1023.
constexpr std::uint64_t place_word(Owner party, std::uint64_t round) {
  constexpr std::uint64_t kDistinct = Owner::kFlags / Owner::kFirstFlag;
  return party.word() | (round % kDistinct + 1) * Owner::kFirstFlag;
}

constexpr bool has_arrived(std::uint64_t place, std::uint64_t round) {
  return place == place_word(Owner{place}, round);
}

}  // namespace

// Who arrives is counted in the state, then writes the round into its place. Killed in between, it
// is missed like one that has not arrived: the round is broken, unless it was over before that was
// seen. So no count is without a place that accounts for it.

Barrier::Barrier(std::uint32_t parties) : parties_{parties} {
  if (parties == 0 || parties > kMostParties) throw_errno("make", "barrier", EINVAL);
}

// What another process may have overwritten leads out of the array nowhere.
std::uint32_t Barrier::parties() const noexcept {
  return std::clamp(parties_, std::uint32_t{1}, kMostParties);
}

Barrier::Places Barrier::places() noexcept {
  return Places{places_}.first(parties());
}

std::uint32_t Barrier::waiting() const noexcept {
  const std::uint64_t state = state_.load();
  return (state & kBroken) != 0 ? 0 : arrived_of(state);
}

std::atomic<std::uint64_t>* Barrier::place_of(Owner party) noexcept {
  for (auto& place : places()) {
    if (Owner{place.load()} == party) return &place;
  }
  return nullptr;
}

void Barrier::attach() {
  const Owner me = Owner::this_thread();
  if (place_of(me) != nullptr) throw_errno("attach", "barrier", EALREADY);
  for (auto& place : places()) {
    if (take_place(place, me)) return;
  }
  throw_errno("attach", "barrier", EBUSY);
}

bool Barrier::take_place(std::atomic<std::uint64_t>& place, Owner party) {
  std::uint64_t word = place.load();
  const Owner before{word};
  if (before != kNobody) {
    if (!before.thread_is_dead()) return false;
    word = place.load();  // the last that it has written
    if (Owner{word} != before) return false;
    for (std::uint64_t state = state_.load(); (state & kBroken) == 0; state = state_.load()) {
      if (has_arrived(word, round_of(state))) return false;
      break_round(round_of(state));
    }
  }
  return place.compare_exchange_strong(word, party.word());
}

void Barrier::detach() {
  auto* const place = place_of(Owner::this_thread());
  if (place == nullptr) throw_errno("detach", "barrier", EPERM);
  place->exchange(0);
}

std::optional<Barrier::Arrival> Barrier::arrive() {
  const Owner me = Owner::this_thread();
  auto* const place = place_of(me);
  if (place == nullptr) throw_errno("wait", "barrier", EPERM);
  std::uint64_t state = state_.load();
  for (;;) {
    const Arrival arrival{.index = arrived_of(state), .round = round_of(state)};
    if ((state & kBroken) != 0) return std::nullopt;
    // The last one has not arrived before its action is done: it would not be missed otherwise.
    if (arrival.index + 1 >= parties()) return arrival;
    if (state_.compare_exchange_weak(state, state + kOneArrival)) {
      place->exchange(place_word(me, arrival.round));
      return arrival;
    }
  }
}

// Whether a party has died that has not arrived.
bool Barrier::misses_somebody(std::uint64_t round) {
  const auto all = places();
  return std::any_of(all.begin(), all.end(), [&](const auto& place) {
    const std::uint64_t word = place.load();
    return Owner{word} != kNobody && !has_arrived(word, round) && Owner{word}.thread_is_dead() &&
           place.load() == word;
  });
}

std::optional<std::uint32_t> Barrier::await_the_others(const Arrival& arrival, Deadline deadline) {
  const bool over = detail::await(changes_, deadline, [&](bool ask) {
    if (ask && misses_somebody(arrival.round)) break_round(arrival.round);
    const std::uint64_t state = state_.load();
    return round_of(state) != arrival.round || (state & kBroken) != 0;
  });
  if (!over) break_round(arrival.round);
  // No later round can have ended without us.
  if (ended_round_of(state_.load()) == arrival.round) return arrival.index;
  return std::nullopt;
}

std::optional<std::uint32_t> Barrier::end_round(const Arrival& arrival) noexcept {
  std::uint64_t state = state_.load();
  do {
    if (round_of(state) != arrival.round || (state & kBroken) != 0) return std::nullopt;
  } while (!state_.compare_exchange_weak(state, state_of(arrival.round + 1, arrival.round)));
  changes_.notify_all();
  return arrival.index;
}

void Barrier::break_round(std::uint64_t round) noexcept {
  std::uint64_t state = state_.load();
  while (round_of(state) == round && (state & kBroken) == 0 &&
         !state_.compare_exchange_weak(state, state | kBroken)) {
  }
  changes_.notify_all();
}

void Barrier::abort() noexcept {
  state_.fetch_or(kBroken);
  changes_.notify_all();
}

// In one step if nobody has died, so that whoever is told may come again at once. Otherwise it is
// broken first: a dead party whose place is free already is missed by nobody.
void Barrier::reset() {
  const std::uint64_t round = round_of(state_.load());
  const auto is_dead = [](Owner party) { return party != kNobody && party.thread_is_dead(); };
  const auto all = places();
  if (std::any_of(all.begin(), all.end(),
                  [&](const auto& place) { return is_dead(Owner{place.load()}); })) {
    break_round(round);
    for (auto& place : all) {
      std::uint64_t word = place.load();
      if (is_dead(Owner{word})) place.compare_exchange_strong(word, 0);
    }
  }
  std::uint64_t state = state_.load();
  while (round_of(state) == round &&
         !state_.compare_exchange_weak(state, state_of(round + 1, ended_round_of(state)))) {
  }
  changes_.notify_all();
}

}  // namespace procpool::ipc
