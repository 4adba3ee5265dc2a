#include "servers/models/detail/packed_heap.hpp"

#include <malloc.h>

#include <cstdlib>
#include <utility>

namespace procpool::models::detail {
namespace {

constexpr std::size_t kLargest = std::size_t{64} << 10;
constexpr std::size_t kSmallest = 24;       // bytes, of the smallest chunk
constexpr std::size_t kStep = 16;           // from one size to the next
constexpr std::size_t kLastOfSteps = 1032;  // up to which the allocator keeps a list for each size
constexpr std::size_t kMostFillings = 20'000;

// The part of the heap that nobody had yet: mallinfo(3).
std::size_t untouched() {
  return ::mallinfo2().keepcost;
}

}  // namespace

void PackedHeap::Free::operator()(void* filling) const noexcept {
  std::free(filling);  // NOLINT(cppcoreguidelines-no-malloc): it comes from malloc
}

PackedHeap::Filling PackedHeap::fill_hole(std::size_t size) {
  const std::size_t before = untouched();
  Filling filling{std::malloc(size)};  // NOLINT(cppcoreguidelines-no-malloc): its holes
  return untouched() == before ? std::move(filling) : nullptr;
}

void PackedHeap::pack() {
  fillings_.clear();
  if (::mallinfo2().arena == 0) return;
  fillings_.reserve(kMostFillings);  // so large that it comes from mmap(2), and makes no hole
  const auto fill = [&](std::size_t size) {
    while (fillings_.size() < kMostFillings) {
      Filling filling = fill_hole(size);
      if (!filling) return;
      fillings_.push_back(std::move(filling));
    }
  };
  for (std::size_t size = kLargest; size > kLastOfSteps; size /= 2) fill(size);
  for (std::size_t size = kLastOfSteps; size >= kSmallest; size -= kStep) fill(size);
}

}  // namespace procpool::models::detail
