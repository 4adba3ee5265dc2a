// The named segments that there are, whoever made them.
//
//   for (const NamedSegment& segment : list_named_segments())
//     std::cout << segment.name << " " << segment.size << (segment.in_use() ? "\n" : " dead\n");
//   remove_named_segment("/counters");     // false: somebody uses it
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace procpool::ipc {

// A segment of SharedMemory::open(), as it was at the moment of the look. A value.
struct NamedSegment {
  std::string name;          // as it is opened: "/counters"
  std::string path;          // of its file
  std::uint64_t size;        // of the file, in bytes
  uid_t owner;               // its user id
  mode_t mode;               // 0600
  std::vector<pid_t> users;  // that hold it open, in ascending order
  bool locked;               // by a user, seen or not

  bool in_use() const noexcept { return locked || !users.empty(); }
};

// All of them, by name. Files there that are no segments, or may not be read, are left out. It
// disturbs nobody: what it knows is from /proc/locks and /proc/PID/fd, so a caller without
// privileges sees the pids of his own processes only, and inside a pid namespace those in it.
// Throws Error.
std::vector<NamedSegment> list_named_segments();

// Removes what killed users left behind. False: it is in use, which a lock proves, whatever /proc
// shows. Throws Error: ENOENT; it is no segment; EPERM, it is another user's.
bool remove_named_segment(std::string_view name);

}  // namespace procpool::ipc
