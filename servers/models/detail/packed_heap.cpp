#include "servers/models/detail/packed_heap.hpp"

#include <malloc.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

namespace procpool::models::detail {
namespace {

constexpr std::size_t kLargest = std::size_t{64} << 10;
constexpr std::size_t kSmallest = 24;       // bytes, of the smallest chunk
constexpr std::size_t kStep = 16;           // from one size to the next
constexpr std::size_t kLastOfSteps = 1032;  // up to which the allocator keeps a list for each size
constexpr std::size_t kMostFillings = 20'000;

// Where the part of the heap begins that nobody had yet: mallinfo(3), sbrk(2).
std::uintptr_t end_of_use() {
  return reinterpret_cast<std::uintptr_t>(::sbrk(0)) - ::mallinfo2().keepcost;
}

}  // namespace

void PackedHeap::Free::operator()(void* filling) const noexcept {
  std::free(filling);  // NOLINT(cppcoreguidelines-no-malloc): it comes from malloc
}

void PackedHeap::loosen() noexcept {
  fillings_.clear();
}

void PackedHeap::pack() {
  loosen();
  if (::mallinfo2().arena == 0) return;
  fillings_.reserve(kMostFillings);  // so large that it comes from mmap(2), and makes no hole
  const std::uintptr_t end = end_of_use();
  const auto fill = [&](std::size_t size) {
    while (fillings_.size() < kMostFillings) {
      void* const filling = std::malloc(size);  // NOLINT(cppcoreguidelines-no-malloc): its holes
      if (reinterpret_cast<std::uintptr_t>(filling) >= end) return std::free(filling);
      fillings_.emplace_back(filling);
    }
  };
  for (std::size_t size = kLargest; size > kLastOfSteps; size /= 2) fill(size);
  for (std::size_t size = kLastOfSteps; size >= kSmallest; size -= kStep) fill(size);
}

}  // namespace procpool::models::detail
