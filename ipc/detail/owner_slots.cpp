#include "ipc/detail/owner_slots.hpp"

#include <algorithm>

namespace procpool::ipc::detail {
namespace {

// Each begins at a place of its own, so that they do not meet, and find again soon what is theirs.
template <typename Predicate>
bool any_from(OwnerSlots slots, Owner me, Predicate is_it) {
  const auto first =
      slots.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(me.id()) % slots.size());
  return std::any_of(first, slots.end(), is_it) || std::any_of(slots.begin(), first, is_it);
}

// Looks before it writes: a failed exchange would take the cache line from its holder, too.
bool replace(std::atomic<std::uint64_t>& slot, std::uint64_t from, std::uint64_t to) {
  return slot.load() == from && slot.compare_exchange_strong(from, to);
}

}  // namespace

bool take_slot(OwnerSlots slots, Owner me) {
  return any_from(slots, me, [&](auto& slot) { return replace(slot, 0, me.word()); });
}

bool give_back_slot(OwnerSlots slots, Owner me) {
  return any_from(slots, me, [&](auto& slot) { return replace(slot, me.word(), 0); });
}

bool holds_slot(OwnerSlots slots, Owner me) {
  return any_from(slots, me, [&](auto& slot) { return slot.load() == me.word(); });
}

std::size_t free_dead_slots(OwnerSlots slots, bool (Owner::*is_dead)() const) {
  std::size_t freed = 0;
  Owner living = kNobody;  // who holds many places is asked once
  for (auto& slot : slots) {
    const std::uint64_t word = slot.load();
    const Owner owner{word};
    if (owner == kNobody || owner == living) continue;
    if (!(owner.*is_dead)()) {
      living = owner;
    } else if (replace(slot, word, 0)) {
      ++freed;
    }
  }
  return freed;
}

}  // namespace procpool::ipc::detail
