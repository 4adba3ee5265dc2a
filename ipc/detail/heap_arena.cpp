#include "ipc/detail/heap_arena.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::ipc::detail {
namespace {

// What a block may need besides its bytes.
constexpr std::size_t kOverhead = 64;

// A heap that grows does so by at least this part of itself.
constexpr std::size_t kGrowth = 4;

constexpr std::size_t round_up(std::size_t bytes) {
  return (bytes + HeapArena::kStep - 1) / HeapArena::kStep * HeapArena::kStep;
}

std::size_t page_size() {
  return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// Before anybody touches it: a full file system is an Error then, and no SIGBUS later. madvise(2),
// MADV_POPULATE_WRITE, which needs no descriptor and says EFAULT where an access would be a SIGBUS.
void reserve(std::byte* at, std::size_t size) {
  const std::size_t before = reinterpret_cast<std::uintptr_t>(at) % page_size();
  const int result =
      retry_eintr([&] { return ::madvise(at - before, before + size, MADV_POPULATE_WRITE); });
  if (result < 0) {
    throw_errno("grow heap by", std::to_string(size), errno == EFAULT ? ENOSPC : errno);
  }
}

}  // namespace

void* HeapArena::allocate(std::size_t bytes) {
  void* at = fit_.allocate(bytes);
  if (at != nullptr) return at;
  grow_for(bytes);
  at = fit_.allocate(bytes);
  if (at == nullptr) throw std::bad_alloc{};
  return at;
}

void HeapArena::grow_for(std::size_t bytes) {
  const std::size_t room = maximum_ - size();
  if (bytes > room + fit_.get_free_memory()) throw std::bad_alloc{};
  const std::size_t wanted = std::max(round_up(bytes + kOverhead), round_up(size() / kGrowth));
  const std::size_t step = std::min(wanted, room);
  if (step == 0) throw std::bad_alloc{};
  reserve(reinterpret_cast<std::byte*>(this) + size(), step);
  fit_.grow(step);
}

void HeapArena::give_back_the_rest() {
  void* from = reinterpret_cast<std::byte*>(this) + size();
  std::size_t rest = maximum_ - size();
  if (std::align(page_size(), 1, from, rest) == nullptr) return;
  if (::madvise(from, rest, MADV_REMOVE) < 0) throw_errno("empty", "heap");
}

}  // namespace procpool::ipc::detail
