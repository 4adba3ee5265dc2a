#include "ipc/shared_memory.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <optional>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/detail/segment_file.hpp"

namespace procpool::ipc {
namespace {

using detail::SegmentHeader;
using detail::UnusedSegment;

constexpr std::string_view kOpen = "open shared memory";
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
constexpr mode_t kOwnerOnly = S_IRUSR | S_IWUSR;

constexpr std::string_view kTruncated = "it is truncated";
constexpr std::string_view kOtherLayout = "it has another layout";
constexpr std::string_view kOtherBoot = "it was made before the machine was booted";

static_assert(sizeof(SegmentHeader) <= SharedMemory::kHeaderSize);

SegmentHeader header_for(const SharedMemory::Layout& layout) {
  constexpr std::size_t kMost = PTRDIFF_MAX - SharedMemory::kHeaderSize;
  if (layout.size > kMost) throw_errno("size shared memory", std::to_string(layout.size), ENOMEM);
  return detail::make_segment_header(layout.hash, SharedMemory::kHeaderSize + layout.size);
}

void write_header(const UniqueFd& file, const SegmentHeader& header, std::string_view object) {
  const ssize_t n = retry_eintr([&] { return ::pwrite(file.fd(), &header, sizeof header, 0); });
  if (n < 0) throw_errno("write", object);
}

// What has to be mapped of a file for `size` bytes: its huge pages are mapped whole.
std::size_t mapping_size(const UniqueFd& file, std::size_t size) {
  struct statfs status{};
  if (::fstatfs(file.fd(), &status) < 0) throw_errno("fstatfs", "shared memory");
  if (status.f_type != HUGETLBFS_MAGIC) return size;
  const auto page = static_cast<std::size_t>(status.f_bsize);
  return (size + page - 1) / page * page;
}

// Empty: the segment is what it should be. Otherwise the reason why not.
std::string_view fault_in(const UniqueFd& file, const SegmentHeader& expected,
                          std::string_view object) {
  const auto header = detail::read_segment_header(file, object);
  if (!header) return detail::kForeign;
  if (header->boot_id != expected.boot_id) return kOtherBoot;
  if (*header != expected) return kOtherLayout;
  const auto size = static_cast<std::uint64_t>(detail::status_of(file, object).st_size);
  if (size != mapping_size(file, expected.size)) return kTruncated;
  return {};
}

void allocate(const UniqueFd& file, const SharedMemory::Layout& layout, const std::string& path) {
  constexpr std::size_t kHeader = SharedMemory::kHeaderSize;
  const auto size = static_cast<off_t>(kHeader + layout.size);
  const auto reserved = static_cast<off_t>(kHeader + layout.reserved);
  if (::ftruncate(file.fd(), size) < 0) throw_errno("ftruncate", path);
  int error = EINTR;
  while (error == EINTR) error = ::posix_fallocate(file.fd(), 0, reserved);
  if (error != 0) throw_errno("allocate shared memory", path, error);
}

UniqueFd make_nameless_file(const SharedMemory::Layout& layout, mode_t mode,
                            const std::string& path) {
  const std::string folder{detail::kSegmentFolder};
  UniqueFd file{retry_eintr(
      [&] { return ::open(folder.c_str(), O_RDWR | O_CLOEXEC | O_TMPFILE, kOwnerOnly); })};
  if (!file.valid()) throw_errno("create shared memory", path);
  if (::fchmod(file.fd(), mode) < 0) throw_errno("fchmod", path);
  allocate(file, layout, path);
  return file;
}

// False: the name is taken meanwhile.
bool give_name(const UniqueFd& file, const std::string& path) {
  const std::string self = "/proc/self/fd/" + std::to_string(file.fd());
  if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
  if (errno == EEXIST) return false;
  throw_errno("name shared memory", path);
}

UniqueFd make_memfd(std::size_t size) {
  UniqueFd file{::memfd_create("procpool", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (!file.valid()) throw_errno("memfd_create");
  if (::ftruncate(file.fd(), static_cast<off_t>(size)) < 0) throw_errno("ftruncate", "memfd");
  if (::fcntl(file.fd(), F_ADD_SEALS, kSeals) < 0) throw_errno("seal", "memfd");
  return file;
}

// Not valid: the system has not so many huge pages to give. They are allocated at once: one that is
// missing at an access would be a SIGBUS.
UniqueFd try_make_huge_memfd(std::size_t size) {
  UniqueFd file{::memfd_create("procpool", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB)};
  if (!file.valid()) return file;
  const auto whole = static_cast<off_t>(mapping_size(file, size));
  const bool made = ::ftruncate(file.fd(), whole) == 0 &&
                    retry_eintr([&] { return ::fallocate(file.fd(), 0, 0, whole); }) == 0 &&
                    ::fcntl(file.fd(), F_ADD_SEALS, kSeals) == 0;
  if (!made) file.reset();
  return file;
}

void check_mode(mode_t mode, std::string_view name) {
  constexpr mode_t kAll = S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH;
  if ((mode & kOwnerOnly) != kOwnerOnly || (mode & ~kAll) != 0) {
    throw Error{kOpen, name, "a mode is 0600 with or without more permissions to read and write"};
  }
}

// Whether its file may be a segment of ours at all, in use or not.
void check_kind(const UniqueFd& file, const SharedMemoryOptions& options, const std::string& path) {
  const struct stat status = detail::status_of(file, path);
  if (options.mode == kOwnerOnly && status.st_uid != ::geteuid()) {
    throw Error{kOpen, path, detail::kOtherUser};
  }
  if (!S_ISREG(status.st_mode) || !detail::read_segment_header(file, path)) {
    throw Error{kOpen, path, detail::kForeign};
  }
}

void check_permissions(const struct stat& status, mode_t mode, const std::string& path) {
  if ((status.st_mode & ALLPERMS) != mode) throw Error{kOpen, path, "it has another mode"};
}

}  // namespace

SharedMemory SharedMemory::anonymous(const Layout& layout, const Construct& construct,
                                     const SharedMemoryOptions& options) {
  const SegmentHeader header = header_for(layout);
  UniqueFd file;
  if (options.huge_pages) file = try_make_huge_memfd(header.size);
  if (!file.valid()) file = make_memfd(header.size);
  SharedMemory memory{std::move(file), layout.size};
  if (options.huge_pages) memory.advise_huge_pages();
  new (memory.mapping_) SegmentHeader{header};
  construct(memory.data());
  return memory;
}

SharedMemory SharedMemory::open(std::string_view name, const Layout& layout,
                                const Construct& construct, const SharedMemoryOptions& options) {
  const std::string path = detail::segment_path(kOpen, name);
  check_mode(options.mode, name);
  const SegmentHeader expected = header_for(layout);
  const auto construct_in = [&](const SharedMemory& memory) {
    if (options.huge_pages) memory.advise_huge_pages();
    construct(memory.data());
    write_header(memory.segment_, expected, path);
  };
  for (;;) {
    UniqueFd file = detail::open_segment(kOpen, path);
    if (!file.valid()) {
      SharedMemory memory{make_nameless_file(layout, options.mode, path), layout.size};
      construct_in(memory);
      detail::share_segment(memory.segment_, path);  // before the name: unused ones are removed
      if (!give_name(memory.segment_, path)) continue;
      memory.path_ = path;
      return memory;
    }
    check_kind(file, options, path);
    if (auto unused = UnusedSegment::try_prove(file)) {
      if (unused->remove_name(path)) continue;
      if (errno != EPERM && errno != EACCES) throw_errno("remove shared memory", path);
      check_permissions(detail::status_of(file, path), options.mode, path);
      // In the place of the dead one. Whoever is killed in here leaves it without users again.
      SegmentHeader unfinished = expected;
      unfinished.size = 0;
      write_header(file, unfinished, path);
      if (::ftruncate(file.fd(), sizeof unfinished) < 0) throw_errno("ftruncate", path);
      allocate(file, layout, path);
      construct_in(SharedMemory{UniqueFd{::fcntl(file.fd(), F_DUPFD_CLOEXEC, 0)}, layout.size});
      std::move(*unused).become_user(path);
    } else {
      if (errno != EWOULDBLOCK) throw_errno("flock", path);
      detail::share_segment(file, path);
    }
    const struct stat status = detail::status_of(file, path);
    const auto header = detail::read_segment_header(file, path);
    if (status.st_nlink == 0 || (header && header->size == 0)) continue;
    check_permissions(status, options.mode, path);
    const auto fault = fault_in(file, expected, path);
    if (!fault.empty()) throw Error{kOpen, path, fault};
    SharedMemory memory{std::move(file), layout.size};
    memory.path_ = path;
    return memory;
  }
}

SharedMemory SharedMemory::attach(UniqueFd segment, const Layout& layout) {
  constexpr std::string_view kOperation = "attach shared memory";
  const std::string object = "descriptor " + std::to_string(segment.fd());
  const int seals = ::fcntl(segment.fd(), F_GET_SEALS);
  if (seals < 0 && errno != EINVAL) throw_errno(kOperation, object);
  if (seals < 0 || (seals & kSeals) != kSeals) throw Error{kOperation, object, detail::kForeign};
  const SegmentHeader expected = header_for(layout);
  const auto fault = fault_in(segment, expected, object);
  if (!fault.empty()) throw Error{kOperation, object, fault};
  return SharedMemory{std::move(segment), layout.size};
}

SharedMemory SharedMemory::attach(UniqueFd segment, std::uint64_t layout_hash) {
  const auto header = detail::read_segment_header(segment, "descriptor of shared memory");
  const std::size_t size = header && header->size > kHeaderSize ? header->size - kHeaderSize : 0;
  return attach(std::move(segment), Layout{.hash = layout_hash, .size = size});
}

SharedMemory::SharedMemory(UniqueFd segment, std::size_t size)
    : segment_{std::move(segment)},
      size_{size},
      mapped_{mapping_size(segment_, kHeaderSize + size)} {
  void* at = ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_SHARED, segment_.fd(), 0);
  if (at == MAP_FAILED) throw_errno("mmap", "shared memory");
  mapping_ = static_cast<std::byte*>(at);
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : segment_{std::move(other.segment_)},
      mapping_{std::exchange(other.mapping_, nullptr)},
      size_{std::exchange(other.size_, 0)},
      mapped_{std::exchange(other.mapped_, 0)},
      path_{std::exchange(other.path_, {})} {}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  SharedMemory taken{std::move(other)};
  std::swap(segment_, taken.segment_);
  std::swap(mapping_, taken.mapping_);
  std::swap(size_, taken.size_);
  std::swap(mapped_, taken.mapped_);
  std::swap(path_, taken.path_);
  return *this;
}

SharedMemory::~SharedMemory() {
  if (mapping_ != nullptr) close();
}

// The kernel is free not to follow.
void SharedMemory::advise_huge_pages() const noexcept {
  constexpr int kCollapse = 25;  // MADV_COLLAPSE of Linux 6.1, which glibc 2.36 has no name for
  ::madvise(mapping_, mapped_, MADV_HUGEPAGE);
  ::madvise(mapping_, mapped_, kCollapse);
}

void SharedMemory::close() noexcept {
  struct stat own{};
  ::fstat(segment_.fd(), &own);
  ::munmap(mapping_, mapped_);
  segment_.reset();
  if (path_.empty()) return;
  // This lock stands apart from those that came or went by fork, so it is refused while any other
  // process has the segment.
  const UniqueFd file{::open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  struct stat status{};
  if (!file.valid() || ::fstat(file.fd(), &status) < 0 || status.st_ino != own.st_ino) return;
  const auto unused = UnusedSegment::try_prove(file);
  if (unused) unused->remove_name(path_);
}

}  // namespace procpool::ipc
