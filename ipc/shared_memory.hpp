// Memory that several processes share: the ground on which Shared<T> and everything else in shared
// memory stands.
//
//   const SharedMemory::Layout layout{.hash = hash_of_what_lies_in_it, .size = 4096};
//   auto memory = SharedMemory::anonymous(layout, [](std::byte* at) { new (at) Table; });
//   auto same = SharedMemory::open("/table", layout, construct);     // shares by name
//   auto theirs = SharedMemory::attach(std::move(received.descriptors[0]), layout);
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "ipc/base/unique_fd.hpp"

namespace procpool::ipc {

// A mapped segment; behind a header of kHeaderSize bytes lie layout.size bytes of the user's.
// Move only. A child of fork has the same memory at the same address; an exec ends the mapping.
// The memory lasts until no process maps it or holds a descriptor of it. A process killed at any
// instruction leaves nothing that blocks another one. May be used by all threads.
//
// Anonymous segments are memfds that can neither shrink nor grow (memfd_create(2), F_SEAL_SHRINK,
// F_SEAL_GROW): nobody who holds them can make another one's access fail with SIGBUS.
//
// A named segment is the file /dev/shm/procpool.NAME, mode 0600, complete before its name appears
// (O_TMPFILE, linkat(2)); its pages are allocated then, so a full file system is an Error of open()
// and no SIGBUS later. It belongs to one user: who may open it may also
// truncate it. Every user holds a shared flock(2), also by inheritance over fork; a lock that is
// exclusive proves that there is none. The last one to destroy its object removes the name; when
// all were killed, or ended in _exit, the next open() replaces what they left by a new segment.
class SharedMemory {
 public:
  static constexpr std::size_t kHeaderSize = 64;

  // What two processes must agree on.
  struct Layout {
    std::uint64_t hash;  // of the types that lie in the segment
    std::size_t size;    // in bytes, 1 or more
  };

  // Puts the first state into the memory, which is zero: once per segment, before anybody else can
  // see it. What it throws leaves anonymous() and open(), and no segment.
  using Construct = std::function<void(std::byte*)>;

  static SharedMemory anonymous(const Layout& layout, const Construct& construct);  // throws Error

  // Opens the segment of this name, or makes it. The name is as in shm_open(3): a slash and
  // 1 to 240 characters without one. Throws Error: when the file was not made by this class or is
  // another user's; when it is in use and has another layout or was truncated; ENOSPC, EACCES. May
  // wait for another process that is just removing the name.
  static SharedMemory open(std::string_view name, const Layout& layout, const Construct& construct);

  // An anonymous segment whose descriptor came from another process. Throws Error when it is no
  // such segment, lacks the seals, or has another layout.
  static SharedMemory attach(UniqueFd segment, const Layout& layout);

  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  ~SharedMemory();

  std::byte* data() const noexcept { return mapping_ + kHeaderSize; }  // aligned to kHeaderSize
  std::size_t size() const noexcept { return mapped_ - kHeaderSize; }

  // The segment itself, close-on-exec: to be sent over a Channel and attached there.
  int fd() const noexcept { return segment_.fd(); }

 private:
  SharedMemory(UniqueFd segment, std::size_t mapped, std::string path);
  void close() noexcept;

  UniqueFd segment_;
  std::byte* mapping_ = nullptr;
  std::size_t mapped_ = 0;  // in bytes, the header included
  std::string path_;        // empty: anonymous
};

}  // namespace procpool::ipc
