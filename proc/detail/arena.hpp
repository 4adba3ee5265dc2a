// Memory for arguments, which the master gives out and workers only read.
//
//   Arena arena{capacity};
//   if (auto at = arena.allocate(size)) { fill(arena.data() + *at); ...; arena.free(*at, size); }
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>

#include "ipc/shared_memory.hpp"

namespace procpool::proc::detail {

// A buddy allocator whose books are the master's own: nothing that another process does or leaves
// undone can harm them. Its memory is a sparse segment: what was never used takes no room. For one
// thread.
class Arena {
 public:
  static constexpr std::size_t kCapacity = std::size_t{4} << 30U;

  Arena();  // throws Error

  std::optional<std::uint64_t> allocate(std::size_t size);  // an offset; nullopt: no room now
  void free(std::uint64_t offset, std::size_t size);        // as it was allocated

  std::byte* data() const noexcept { return memory_.data(); }
  int fd() const noexcept { return memory_.fd(); }

  // In another process: the same memory, which it can only read.
  static ipc::SharedMemory attach(UniqueFd segment);

 private:
  static constexpr unsigned kLeastOrder = 8;
  static constexpr unsigned kMostOrder = 32;
  // From here on memory is given back to the system, because it is more than others will need.
  static constexpr unsigned kReturnedOrder = 23;

  static unsigned order_for(std::size_t size) noexcept;

  ipc::SharedMemory memory_;
  std::array<std::set<std::uint64_t>, kMostOrder + 1> free_;
};

}  // namespace procpool::proc::detail
