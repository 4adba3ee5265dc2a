// Memory that several processes share: the ground on which Shared<T> and everything else in shared
// memory stands.
//
//   const SharedMemory::Layout layout{.hash = hash_of_what_lies_in_it, .size = 4096};
//   auto memory = SharedMemory::anonymous(layout, [](std::byte* at) { new (at) Table; });
//   auto same = SharedMemory::open("/table", layout, construct);     // shares by name
//   auto theirs = SharedMemory::attach(std::move(received.descriptors[0]), layout);
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "ipc/base/unique_fd.hpp"

namespace procpool::ipc {

struct SharedMemoryOptions {
  // Of a named segment: who may read and write it, at least its owner; the umask(2) has no say. Any
  // other mode than 0600 lets segments of other users be opened, too. Whoever may write to one may
  // also truncate it, upon which the next access of any user ends in SIGBUS, and may put anything
  // into it: such a name is for users who trust each other as one.
  mode_t mode = S_IRUSR | S_IWUSR;

  // Asks for huge pages: fewer misses of the TLB in segments of many MiB. An anonymous segment has
  // them from the system's pool (/proc/sys/vm/nr_hugepages) if enough are free there, and takes up
  // whole ones; otherwise, and with a name, the kernel is advised (MADV_HUGEPAGE, MADV_COLLAPSE).
  // Where it has none to give, the pages are those that it has.
  bool huge_pages = false;
};

// A mapped segment; behind a header of kHeaderSize bytes lie layout.size bytes of the user's.
// Move only. A child of fork has the same memory at the same address; an exec ends the mapping.
// The memory lasts until no process maps it or holds a descriptor of it. A process killed at any
// instruction leaves nothing that blocks another one. May be used by all threads.
//
// Anonymous segments are memfds that can neither shrink nor grow (memfd_create(2), F_SEAL_SHRINK,
// F_SEAL_GROW): nobody who holds them can make another one's access fail with SIGBUS.
//
// A named segment is the file /dev/shm/procpool.NAME, complete before its name appears (O_TMPFILE,
// linkat(2)); its pages are allocated then, so a full file system is an Error of open() and no
// SIGBUS later. It belongs to one user, unless a mode is asked for. Every user holds a shared
// flock(2), also by inheritance over fork; a lock that is exclusive proves that there is none. The
// last one to destroy its object removes the name; when all were killed, or ended in _exit, or the
// machine was booted since, the next open() replaces what they left by a new segment. (/dev/shm is
// sticky: only the owner can remove a file there. Somebody else who may open it begins it anew in
// its place, and leaves it to the next one in the end.) named_segments.hpp lists them.
class SharedMemory {
 public:
  static constexpr std::size_t kHeaderSize = 64;

  // What two processes must agree on.
  struct Layout {
    std::uint64_t hash;  // of the types that lie in the segment
    std::size_t size;    // in bytes, 1 or more

    // Of a named segment: so many of them are allocated at its creation. Whoever touches the others
    // must have done that himself before, or a full file system is a SIGBUS.
    std::size_t reserved = size;
  };

  // Puts the first state into the memory, which is zero: once per segment, before anybody else can
  // see it. What it throws leaves anonymous() and open(), and no segment.
  using Construct = std::function<void(std::byte*)>;

  static SharedMemory anonymous(const Layout& layout, const Construct& construct,
                                const SharedMemoryOptions& options = {});  // throws Error

  // Opens the segment of this name, or makes it. The name is as in shm_open(3): a slash and
  // 1 to 240 characters without one. Throws Error: when the file was not made by this class or is
  // another user's; when it is in use and has another layout or mode, is of another boot, or was
  // truncated; ENOSPC, EACCES. May wait for another process that is just removing the name.
  static SharedMemory open(std::string_view name, const Layout& layout, const Construct& construct,
                           const SharedMemoryOptions& options = {});

  // An anonymous segment whose descriptor came from another process. Throws Error when it is no
  // such segment, lacks the seals, or has another layout.
  static SharedMemory attach(UniqueFd segment, const Layout& layout);

  // The same, of whatever size it is.
  static SharedMemory attach(UniqueFd segment, std::uint64_t layout_hash);

  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  ~SharedMemory();

  std::byte* data() const noexcept { return mapping_ + kHeaderSize; }  // aligned to kHeaderSize
  std::size_t size() const noexcept { return size_; }                  // as in the layout

  // The segment itself, close-on-exec: to be sent over a Channel and attached there.
  int fd() const noexcept { return segment_.fd(); }

 private:
  SharedMemory(UniqueFd segment, std::size_t size);
  void advise_huge_pages() const noexcept;
  void close() noexcept;

  UniqueFd segment_;
  std::byte* mapping_ = nullptr;
  std::size_t size_ = 0;    // without the header
  std::size_t mapped_ = 0;  // with it, and up to the end of the last page if that is huge
  std::string path_;        // empty: anonymous
};

}  // namespace procpool::ipc
