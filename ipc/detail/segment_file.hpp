// The files that named segments are: /dev/shm/procpool.NAME, their headers, and the proof that
// nobody uses one. shared_memory.hpp says what they promise.
#pragma once

#include <sys/stat.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ipc/base/unique_fd.hpp"

namespace procpool::ipc::detail {

inline constexpr std::string_view kSegmentFolder = "/dev/shm";
inline constexpr std::string_view kSegmentPrefix = "procpool.";

// Why a file is refused.
inline constexpr std::string_view kForeign = "it is not a segment of procpool";
inline constexpr std::string_view kOtherUser = "it belongs to another user";

// What every segment begins with.
struct SegmentHeader {
  std::array<char, 8> magic;
  std::uint64_t layout_hash;
  std::uint64_t size;  // of all that is used, this header included; 0: it is being made anew
  std::array<char, 36> boot_id;

  friend bool operator==(const SegmentHeader&, const SegmentHeader&) = default;
};

// Of a segment of this boot. `size` includes the header. Throws Error: /proc is not there.
SegmentHeader make_segment_header(std::uint64_t layout_hash, std::uint64_t size);

// nullopt: the file was not made by procpool.
std::optional<SegmentHeader> read_segment_header(const UniqueFd& file, std::string_view object);

// The file of a name as in shm_open(3). Throws Error naming the operation.
std::string segment_path(std::string_view operation, std::string_view name);

// Opens what is there, without following a link or waiting for a FIFO. Not valid: there is none.
UniqueFd open_segment(std::string_view operation, const std::string& path);

struct stat status_of(const UniqueFd& file, std::string_view object);

// The exclusive flock(2) of a segment, which proves that it has no users: each of them holds a
// shared one. Who opened the file meanwhile waits for its end, and sees then whether the file still
// has its name. The end is explicit, and not left to the closing of the file, of which a child that
// another thread has forked in between holds a copy.
class UnusedSegment {
 public:
  static std::optional<UnusedSegment> try_prove(const UniqueFd& file) noexcept;  // nullopt: errno
  UnusedSegment(UnusedSegment&& other) noexcept;
  UnusedSegment& operator=(UnusedSegment&&) = delete;
  ~UnusedSegment();

  bool remove_name(const std::string& path) const noexcept;  // false: errno says why not
  void become_user(std::string_view object) &&;  // others may have been users before it is one

 private:
  explicit UnusedSegment(int file) noexcept : file_{file} {}

  int file_;  // lent; -1: moved from
};

// Becomes a user; waits for the end of an UnusedSegment.
void share_segment(const UniqueFd& file, std::string_view object);

}  // namespace procpool::ipc::detail
