// Places that are held by somebody: one Owner's word each, 0 when free.
//
//   std::array<std::atomic<std::uint64_t>, 64> permits{};
//   if (!take_slot(permits, me) && free_dead_slots(permits, &Owner::thread_is_dead) > 0) ...
//   give_back_slot(permits, me);
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ipc/base/owner.hpp"

namespace procpool::ipc::detail {

using OwnerSlots = std::span<std::atomic<std::uint64_t>>;  // at least one

// One step takes a place and says whose it is. False: none is free.
bool take_slot(OwnerSlots slots, Owner me);

// One step, too. False: none is held by `me`.
bool give_back_slot(OwnerSlots slots, Owner me);

bool holds_slot(OwnerSlots slots, Owner me);

// Frees the places of those who are dead, by proof; how many. Costs system calls for each holder.
// Throws Error.
std::size_t free_dead_slots(OwnerSlots slots, bool (Owner::*is_dead)() const);

}  // namespace procpool::ipc::detail
