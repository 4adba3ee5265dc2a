#include "proc/detail/arena.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>

#include "ipc/base/error.hpp"

namespace procpool::proc::detail {
namespace {

using Memory = ipc::SharedMemory;

constexpr std::uint64_t kHash = 0x6172'656e'6100;  // "arena"
constexpr Memory::Layout kLayout{.hash = kHash, .size = Arena::kCapacity};

// Begins with the whole page, since the header is before the data.
std::byte* first_page(const Memory& memory) noexcept {
  return memory.data() - Memory::kHeaderSize;
}

// The kernel would fill every page of it to write a core file.
void leave_out_of_core_files(const Memory& memory) {
  if (::madvise(first_page(memory), memory.size(), MADV_DONTDUMP) < 0) throw_errno("madvise");
}

}  // namespace

Arena::Arena() : memory_{Memory::anonymous(kLayout, [](std::byte*) {})} {
  leave_out_of_core_files(memory_);
  free_[kMostOrder].insert(0);
}

Memory Arena::attach(UniqueFd segment) {
  Memory memory = Memory::attach(std::move(segment), kLayout);
  leave_out_of_core_files(memory);
  if (::mprotect(first_page(memory), memory.size(), PROT_READ) < 0) throw_errno("mprotect");
  return memory;
}

unsigned Arena::order_for(std::size_t size) noexcept {
  return std::max(kLeastOrder, static_cast<unsigned>(std::bit_width(size - 1)));
}

std::optional<std::uint64_t> Arena::allocate(std::size_t size) {
  const unsigned order = order_for(size);
  unsigned from = order;
  while (from <= kMostOrder && free_[from].empty()) ++from;
  if (from > kMostOrder) return std::nullopt;
  const std::uint64_t offset = free_[from].extract(free_[from].begin()).value();
  while (from > order) {
    --from;
    free_[from].insert(offset + (std::uint64_t{1} << from));
  }
  return offset;
}

void Arena::free(std::uint64_t offset, std::size_t size) {
  unsigned order = order_for(size);
  if (order >= kReturnedOrder) {
    // Its first page is also the previous block's last one, by the header's size.
    constexpr std::size_t kLargestPage = 65536;
    ::madvise(first_page(memory_) + offset + kLargestPage, (std::size_t{1} << order) - kLargestPage,
              MADV_REMOVE);
  }
  while (order < kMostOrder) {
    const auto buddy = free_[order].find(offset ^ (std::uint64_t{1} << order));
    if (buddy == free_[order].end()) break;
    offset &= ~(std::uint64_t{1} << order);
    free_[order].erase(buddy);
    ++order;
  }
  free_[order].insert(offset);
}

}  // namespace procpool::proc::detail
