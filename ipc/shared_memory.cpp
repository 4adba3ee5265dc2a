#include "ipc/shared_memory.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <new>
#include <optional>
#include <span>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::ipc {
namespace {

constexpr std::string_view kFolder = "/dev/shm";
constexpr std::string_view kFilePrefix = "procpool.";
constexpr std::size_t kLongestName = 240;
constexpr std::array<char, 8> kMagic{'p', 'r', 'o', 'c', 'p', 'o', 'o', 'l'};
constexpr int kOpenFlags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

struct Header {
  std::array<char, 8> magic;
  std::uint64_t layout_hash;
  std::uint64_t size;  // of the whole segment

  friend bool operator==(const Header&, const Header&) = default;
};
static_assert(sizeof(Header) <= SharedMemory::kHeaderSize);

constexpr std::string_view kForeign = "it is not a segment of procpool";
constexpr std::string_view kTruncated = "it is truncated";
constexpr std::string_view kOtherLayout = "it has another layout";

Header header_for(const SharedMemory::Layout& layout) {
  constexpr std::size_t kMost = PTRDIFF_MAX - SharedMemory::kHeaderSize;
  if (layout.size > kMost) throw_errno("size shared memory", std::to_string(layout.size), ENOMEM);
  return {
      .magic = kMagic, .layout_hash = layout.hash, .size = SharedMemory::kHeaderSize + layout.size};
}

struct stat status_of(const UniqueFd& file, std::string_view object) {
  struct stat status{};
  if (::fstat(file.fd(), &status) < 0) throw_errno("fstat", object);
  return status;
}

// nullopt: the file was not made by this class.
std::optional<Header> read_header(const UniqueFd& file, std::string_view object) {
  Header header{};
  const ssize_t n = retry_eintr([&] { return ::pread(file.fd(), &header, sizeof header, 0); });
  if (n < 0) throw_errno("read", object);
  if (static_cast<std::size_t>(n) < sizeof header || header.magic != kMagic) return std::nullopt;
  return header;
}

// Empty: the segment is what it should be. Otherwise the reason why not.
std::string_view fault_in(const UniqueFd& file, const Header& expected, std::string_view object) {
  const auto header = read_header(file, object);
  if (!header) return kForeign;
  if (*header != expected) return kOtherLayout;
  if (static_cast<std::uint64_t>(status_of(file, object).st_size) != header->size)
    return kTruncated;
  return {};
}

// False: somebody else holds a lock that does not go together with this one.
bool try_lock(const UniqueFd& file, int operation, std::string_view object) {
  if (retry_eintr([&] { return ::flock(file.fd(), operation | LOCK_NB); }) == 0) return true;
  if (errno == EWOULDBLOCK) return false;
  throw_errno("flock", object);
}

void share_lock(const UniqueFd& file, std::string_view object) {
  if (retry_eintr([&] { return ::flock(file.fd(), LOCK_SH); }) < 0) throw_errno("flock", object);
}

std::string path_of(std::string_view name) {
  const bool valid = name.size() > 1 && name.size() <= kLongestName + 1 && name.front() == '/' &&
                     name.find_first_of(std::string_view{"/\0", 2}, 1) == std::string_view::npos;
  if (!valid) {
    throw Error{"open shared memory", name,
                "a name is a slash and 1 to 240 characters without one"};
  }
  return std::string{kFolder} + "/" + std::string{kFilePrefix} + std::string{name.substr(1)};
}

UniqueFd open_file(const std::string& path) {
  UniqueFd file{retry_eintr([&] { return ::open(path.c_str(), kOpenFlags); })};
  if (!file.valid() && errno != ENOENT) throw_errno("open shared memory", path);
  return file;
}

UniqueFd make_nameless_file(std::size_t size, const std::string& path) {
  const std::string folder{kFolder};
  UniqueFd file{retry_eintr(
      [&] { return ::open(folder.c_str(), O_RDWR | O_CLOEXEC | O_TMPFILE, S_IRUSR | S_IWUSR); })};
  if (!file.valid()) throw_errno("create shared memory", path);
  int error = EINTR;
  while (error == EINTR) error = ::posix_fallocate(file.fd(), 0, static_cast<off_t>(size));
  if (error != 0) throw_errno("allocate shared memory", path, error);
  return file;
}

// False: the name is taken meanwhile.
bool give_name(const UniqueFd& file, const std::string& path) {
  const std::string self = "/proc/self/fd/" + std::to_string(file.fd());
  if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
  if (errno == EEXIST) return false;
  throw_errno("name shared memory", path);
}

// Of a file that nobody uses: the exclusive lock is held. Who opened it meanwhile waits for the
// lock, and will see then that the file has no name any more. The unlocking is explicit because a
// child forked in between by another thread holds a copy of the descriptor. False: errno says why
// not.
bool remove_name(const UniqueFd& file, const std::string& path) noexcept {
  struct stat status{};
  const bool removed =
      ::fstat(file.fd(), &status) == 0 && (status.st_nlink == 0 || ::unlink(path.c_str()) == 0);
  const int error = errno;
  ::flock(file.fd(), LOCK_UN);
  errno = error;
  return removed;
}

UniqueFd make_memfd(std::size_t size) {
  UniqueFd file{::memfd_create("procpool", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (!file.valid()) throw_errno("memfd_create");
  if (::ftruncate(file.fd(), static_cast<off_t>(size)) < 0) throw_errno("ftruncate", "memfd");
  if (::fcntl(file.fd(), F_ADD_SEALS, kSeals) < 0) throw_errno("seal", "memfd");
  return file;
}

}  // namespace

SharedMemory SharedMemory::anonymous(const Layout& layout, const Construct& construct) {
  const Header header = header_for(layout);
  SharedMemory memory{make_memfd(header.size), header.size, {}};
  new (memory.mapping_) Header{header};
  construct(memory.data());
  return memory;
}

SharedMemory SharedMemory::open(std::string_view name, const Layout& layout,
                                const Construct& construct) {
  const std::string path = path_of(name);
  const Header expected = header_for(layout);
  for (;;) {
    UniqueFd file = open_file(path);
    if (!file.valid()) {
      SharedMemory memory{make_nameless_file(expected.size, path), expected.size, {}};
      new (memory.mapping_) Header{expected};
      construct(memory.data());
      share_lock(memory.segment_, path);  // before the name: a file without users may be removed
      if (!give_name(memory.segment_, path)) continue;
      memory.path_ = path;
      return memory;
    }
    const struct stat status = status_of(file, path);
    if (status.st_uid != ::geteuid()) {
      throw Error{"open shared memory", path, "it belongs to another user"};
    }
    if (!S_ISREG(status.st_mode) || !read_header(file, path)) {
      throw Error{"open shared memory", path, kForeign};
    }
    if (try_lock(file, LOCK_EX, path)) {
      if (!remove_name(file, path)) throw_errno("remove shared memory", path);
      continue;
    }
    share_lock(file, path);
    if (status_of(file, path).st_nlink == 0) continue;
    const auto fault = fault_in(file, expected, path);
    if (!fault.empty()) throw Error{"open shared memory", path, fault};
    return SharedMemory{std::move(file), expected.size, path};
  }
}

SharedMemory SharedMemory::attach(UniqueFd segment, const Layout& layout) {
  constexpr std::string_view kOperation = "attach shared memory";
  const std::string object = "descriptor " + std::to_string(segment.fd());
  const int seals = ::fcntl(segment.fd(), F_GET_SEALS);
  if (seals < 0 && errno != EINVAL) throw_errno(kOperation, object);
  if (seals < 0 || (seals & kSeals) != kSeals) throw Error{kOperation, object, kForeign};
  const Header expected = header_for(layout);
  const auto fault = fault_in(segment, expected, object);
  if (!fault.empty()) throw Error{kOperation, object, fault};
  return SharedMemory{std::move(segment), expected.size, {}};
}

SharedMemory::SharedMemory(UniqueFd segment, std::size_t mapped, std::string path)
    : segment_{std::move(segment)}, mapped_{mapped}, path_{std::move(path)} {
  void* at = ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_SHARED, segment_.fd(), 0);
  if (at == MAP_FAILED) throw_errno("mmap", path_.empty() ? "shared memory" : path_);
  mapping_ = static_cast<std::byte*>(at);
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : segment_{std::move(other.segment_)},
      mapping_{std::exchange(other.mapping_, nullptr)},
      mapped_{std::exchange(other.mapped_, 0)},
      path_{std::exchange(other.path_, {})} {}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  SharedMemory taken{std::move(other)};
  std::swap(segment_, taken.segment_);
  std::swap(mapping_, taken.mapping_);
  std::swap(mapped_, taken.mapped_);
  std::swap(path_, taken.path_);
  return *this;
}

SharedMemory::~SharedMemory() {
  if (mapping_ != nullptr) close();
}

void SharedMemory::close() noexcept {
  struct stat own{};
  ::fstat(segment_.fd(), &own);
  ::munmap(mapping_, mapped_);
  segment_.reset();
  if (path_.empty()) return;
  // This lock stands apart from those that came or went by fork, so it is refused while any other
  // process has the segment.
  const UniqueFd file{::open(path_.c_str(), kOpenFlags)};
  struct stat status{};
  if (!file.valid() || ::fstat(file.fd(), &status) < 0 || status.st_ino != own.st_ino) return;
  if (::flock(file.fd(), LOCK_EX | LOCK_NB) == 0) remove_name(file, path_);
}

}  // namespace procpool::ipc
