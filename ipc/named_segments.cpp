#include "ipc/named_segments.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <system_error>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/detail/segment_file.hpp"

namespace procpool::ipc {
namespace {

namespace fs = std::filesystem;

// The device and inode of a file, as proc_locks(5) has them: "08:01:1234".
std::string identity(const struct stat& status) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%02x:%02x:%lu", ::major(status.st_dev),
                ::minor(status.st_dev), status.st_ino);
  return text.data();
}

// Which processes hold which files of the folder open, from /proc/PID/fd. Processes come and go,
// and those of others are closed to us. Only what lies in the folder is looked at closer, which may
// take long elsewhere; the link of a segment that was made by this descriptor tells no name.
std::map<std::string, std::set<pid_t>> users_by_file() {
  const std::string prefix = std::string{detail::kSegmentFolder} + "/";
  std::map<std::string, std::set<pid_t>> users;
  std::error_code gone;
  for (const auto& process : fs::directory_iterator{"/proc"}) {
    const std::string number = process.path().filename();
    pid_t pid = 0;
    if (std::from_chars(number.data(), number.data() + number.size(), pid).ec != std::errc{}) {
      continue;
    }
    for (fs::directory_iterator file{process.path() / "fd", gone}, end; !gone && file != end;
         file.increment(gone)) {
      std::error_code closed;
      const std::string target = fs::read_symlink(file->path(), closed);
      struct stat status{};
      if (target.starts_with(prefix) && ::stat(file->path().c_str(), &status) == 0) {
        users[identity(status)].insert(pid);
      }
    }
  }
  return users;
}

// The files with a flock(2) on them.
std::set<std::string> locked_files() {
  std::istringstream lines{read_file("/proc/locks")};
  std::set<std::string> files;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words{line};
    std::string number, kind, advisory, access, pid, file;
    if (words >> number >> kind >> advisory >> access >> pid >> file && kind == "FLOCK") {
      files.insert(file);
    }
  }
  return files;
}

// nullopt: it is no segment, or gone, or not for our eyes.
std::optional<struct stat> look_at(const std::string& path) {
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  struct stat status{};
  if (!file.valid() || ::fstat(file.fd(), &status) < 0 || !S_ISREG(status.st_mode)) {
    return std::nullopt;
  }
  if (!detail::read_segment_header(file, path)) return std::nullopt;
  return status;
}

}  // namespace

std::vector<NamedSegment> list_named_segments() {
  auto users = users_by_file();
  const auto locked = locked_files();
  std::vector<NamedSegment> segments;
  for (const auto& entry : fs::directory_iterator{detail::kSegmentFolder}) {
    const std::string file = entry.path().filename();
    if (!file.starts_with(detail::kSegmentPrefix)) continue;
    const auto status = look_at(entry.path());
    if (!status) continue;
    const auto& known = users[identity(*status)];
    segments.push_back({.name = "/" + file.substr(detail::kSegmentPrefix.size()),
                        .path = entry.path(),
                        .size = static_cast<std::uint64_t>(status->st_size),
                        .owner = status->st_uid,
                        .mode = status->st_mode & ALLPERMS,
                        .users = {known.begin(), known.end()},
                        .locked = locked.contains(identity(*status))});
  }
  std::ranges::sort(segments, {}, &NamedSegment::name);
  return segments;
}

bool remove_named_segment(std::string_view name) {
  constexpr std::string_view kOperation = "remove shared memory";
  const std::string path = detail::segment_path(kOperation, name);
  const UniqueFd file = detail::open_segment(kOperation, path);
  if (!file.valid()) throw_errno(kOperation, path, ENOENT);
  if (!S_ISREG(detail::status_of(file, path).st_mode) || !detail::read_segment_header(file, path)) {
    throw Error{kOperation, path, detail::kForeign};
  }
  const auto unused = detail::UnusedSegment::try_prove(file);
  if (!unused) {
    if (errno == EWOULDBLOCK) return false;
    throw_errno("flock", path);
  }
  if (!unused->remove_name(path)) throw_errno(kOperation, path);
  return true;
}

}  // namespace procpool::ipc
