#include "ipc/detail/segment_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::ipc::detail {
namespace {

constexpr std::array<char, 8> kMagic{'p', 'r', 'o', 'c', 'p', 'o', 'o', 'l'};
constexpr std::size_t kLongestName = 240;

std::array<char, 36> read_boot_id() {
  constexpr const char* kPath = "/proc/sys/kernel/random/boot_id";
  const std::string text = read_file(kPath);
  std::array<char, 36> id{};
  if (text.size() < id.size()) throw Error{"read", kPath, "it is no UUID"};
  std::copy_n(text.begin(), id.size(), id.begin());
  return id;
}

}  // namespace

SegmentHeader make_segment_header(std::uint64_t layout_hash, std::uint64_t size) {
  static const auto boot_id = read_boot_id();
  return {.magic = kMagic, .layout_hash = layout_hash, .size = size, .boot_id = boot_id};
}

std::optional<SegmentHeader> read_segment_header(const UniqueFd& file, std::string_view object) {
  SegmentHeader header{};
  const ssize_t n = retry_eintr([&] { return ::pread(file.fd(), &header, sizeof header, 0); });
  if (n < 0) throw_errno("read", object);
  if (static_cast<std::size_t>(n) < sizeof header || header.magic != kMagic) return std::nullopt;
  return header;
}

std::string segment_path(std::string_view operation, std::string_view name) {
  const bool valid = name.size() > 1 && name.size() <= kLongestName + 1 && name.front() == '/' &&
                     name.find_first_of(std::string_view{"/\0", 2}, 1) == std::string_view::npos;
  if (!valid) {
    throw Error{operation, name, "a name is a slash and 1 to 240 characters without one"};
  }
  return std::string{kSegmentFolder} + "/" + std::string{kSegmentPrefix} +
         std::string{name.substr(1)};
}

UniqueFd open_segment(std::string_view operation, const std::string& path) {
  constexpr int kFlags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  UniqueFd file{retry_eintr([&] { return ::open(path.c_str(), kFlags); })};
  if (!file.valid() && errno != ENOENT) throw_errno(operation, path);
  return file;
}

struct stat status_of(const UniqueFd& file, std::string_view object) {
  struct stat status{};
  if (::fstat(file.fd(), &status) < 0) throw_errno("fstat", object);
  return status;
}

std::optional<UnusedSegment> UnusedSegment::try_prove(const UniqueFd& file) noexcept {
  if (retry_eintr([&] { return ::flock(file.fd(), LOCK_EX | LOCK_NB); }) < 0) return std::nullopt;
  return UnusedSegment{file.fd()};
}

UnusedSegment::UnusedSegment(UnusedSegment&& other) noexcept
    : file_{std::exchange(other.file_, -1)} {}

UnusedSegment::~UnusedSegment() {
  const int error = errno;  // of the removal, for its caller
  if (file_ >= 0) ::flock(file_, LOCK_UN);
  errno = error;
}

bool UnusedSegment::remove_name(const std::string& path) const noexcept {
  struct stat status{};
  return ::fstat(file_, &status) == 0 && (status.st_nlink == 0 || ::unlink(path.c_str()) == 0);
}

void UnusedSegment::become_user(std::string_view object) && {
  const int file = std::exchange(file_, -1);
  if (retry_eintr([&] { return ::flock(file, LOCK_SH); }) < 0) throw_errno("flock", object);
}

void share_segment(const UniqueFd& file, std::string_view object) {
  if (retry_eintr([&] { return ::flock(file.fd(), LOCK_SH); }) < 0) throw_errno("flock", object);
}

}  // namespace procpool::ipc::detail
