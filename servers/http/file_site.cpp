#include "servers/http/file_site.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <list>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"
#include "servers/http/etag.hpp"
#include "servers/http/target.hpp"

namespace procpool::http {
namespace {

// EAGAIN: a rename somewhere in the tree raced with the look-up, openat2(2).
constexpr int kMostRaces = 128;

UniqueFd open_beneath(int root, const std::string& name) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  long fd = -1;
  for (int tries = 0; tries < kMostRaces; ++tries) {
    fd = ::syscall(SYS_openat2, root, name.c_str(), &how, sizeof how);
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  return UniqueFd{static_cast<int>(fd)};
}

Status status_of(int error) noexcept {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
      return Status::not_found;
    case EACCES:
    case EPERM:
    case EXDEV:  // it leads out of the root
    case ELOOP:
    case ENXIO:  // a socket
    case ENODEV:
      return Status::forbidden;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
      return Status::service_unavailable;
    default:
      return Status::internal_server_error;
  }
}

PagePtr page_of(Status status) {
  if (status == Status::service_unavailable) return make_error_page(status, "Retry-After: 1\r\n");
  return make_error_page(status);
}

std::string read_whole(int file, std::uint64_t size) {
  std::string body(size, '\0');
  body.resize(read_full(file, std::as_writable_bytes(std::span{body}), "file"));
  return body;
}

constexpr auto kFreshness = std::chrono::seconds{1};
constexpr std::size_t kMostInMemory = std::size_t{32} << 10;  // larger files are sent from the file
constexpr std::size_t kCacheSize = std::size_t{32} << 20;     // bytes of all entries
constexpr rlim_t kMostDescriptors = 256;

// What an open file counts for in the size of the cache. An eighth of the descriptors that this
// process may have is the most that it keeps: the rest is for clients.
std::size_t cost_of_descriptor() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) throw_errno("getrlimit");
  return kCacheSize / std::clamp<rlim_t>(limit.rlim_cur / 8, 1, kMostDescriptors);
}

class FileSite {
 public:
  FileSite(const std::string& root, MimeTypes types, const Loop& loop);

  PagePtr operator()(const Request& request);

 private:
  // What of a file must be the same for its page to be still true.
  struct Version {
    static Version of(const struct stat& facts) noexcept;
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    timespec modified{};
    timespec changed{};
    bool same_as(const Version& other) const noexcept;
  };
  struct Entry {
    std::string path;
    PagePtr page;
    Version version;
    std::size_t cost;
    Deadline::Clock::time_point checked;
  };
  using Entries = std::list<Entry>;  // the most recently used first

  static bool is_changed_in_place(const Entry& entry) noexcept;

  struct Found {
    Status status = Status::ok;
    UniqueFd file{};
    struct stat facts{};
    std::string name{};      // relative to the root
    std::string location{};  // of a redirection
  };

  Found find(std::string_view path) const;
  Found open(std::string name) const;
  PagePtr load(Found found) const;
  PagePtr remember(std::string_view path, PagePtr page, const Version& version);
  void forget(Entries::iterator entry);

  UniqueFd root_;
  MimeTypes types_;
  const Loop& loop_;
  const std::size_t cost_of_descriptor_ = cost_of_descriptor();
  Entries entries_;
  std::unordered_map<std::string_view, Entries::iterator> by_path_;
  std::size_t cost_ = 0;
};

FileSite::Version FileSite::Version::of(const struct stat& facts) noexcept {
  return {.device = facts.st_dev,
          .inode = facts.st_ino,
          .size = facts.st_size,
          .modified = facts.st_mtim,
          .changed = facts.st_ctim};
}

bool FileSite::Version::same_as(const Version& other) const noexcept {
  return device == other.device && inode == other.inode && size == other.size &&
         modified.tv_sec == other.modified.tv_sec && modified.tv_nsec == other.modified.tv_nsec &&
         changed.tv_sec == other.changed.tv_sec && changed.tv_nsec == other.changed.tv_nsec;
}

// What is sent from the file is what it holds now: a head that is older than that must not go
// before it, however fresh.
bool FileSite::is_changed_in_place(const Entry& entry) noexcept {
  if (!entry.page->file) return false;
  struct stat facts{};
  return ::fstat(entry.page->file->fd(), &facts) < 0 || !Version::of(facts).same_as(entry.version);
}

FileSite::FileSite(const std::string& root, MimeTypes types, const Loop& loop)
    : root_{::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)},
      types_{std::move(types)},
      loop_{loop} {
  if (!root_.valid()) throw_errno("open", root);
}

PagePtr FileSite::operator()(const Request& request) {
  const auto known = by_path_.find(request.path);
  if (known != by_path_.end()) {
    entries_.splice(entries_.begin(), entries_, known->second);
    const Entry& entry = *known->second;
    if (loop_.now() - entry.checked < kFreshness && !is_changed_in_place(entry)) return entry.page;
  }

  Found found = find(request.path);
  const Version version = Version::of(found.facts);
  if (known != by_path_.end()) {
    if (found.status == Status::ok && version.same_as(known->second->version)) {
      known->second->checked = loop_.now();
      return known->second->page;
    }
    forget(known->second);
  }

  if (found.status == Status::moved_permanently) {
    if (!request.query.empty()) found.location.append("?").append(request.query);
    return make_error_page(found.status,
                           std::string{"Location: "}.append(found.location).append("\r\n"));
  }
  if (found.status != Status::ok) return page_of(found.status);
  return remember(request.path, load(std::move(found)), version);
}

FileSite::Found FileSite::find(std::string_view path) const {
  std::string name;
  const ResolvedTarget target = resolve_target(path, name);
  if (target.status != Status::ok) return {.status = target.status};

  Found found = open(name);
  if (found.status != Status::ok) return found;
  if (S_ISDIR(found.facts.st_mode)) {
    if (target.ends_with_slash || name == ".") {
      found = open(std::string{name}.append("/index.html"));
      // The directory is there, what to show of it is not.
      if (found.status == Status::not_found) found.status = Status::forbidden;
    } else {
      // From the resolved name: the raw path may begin with "//", which names another host.
      found.status = Status::moved_permanently;
      found.location.assign(1, '/');
      append_percent_encoded(name, found.location);
      found.location.append("/");
      return found;
    }
  } else if (target.ends_with_slash) {
    return {.status = Status::not_found};
  }
  if (found.status == Status::ok && !S_ISREG(found.facts.st_mode)) found.status = Status::forbidden;
  return found;
}

FileSite::Found FileSite::open(std::string name) const {
  Found found{.file = open_beneath(root_.fd(), name)};
  found.name = std::move(name);
  if (!found.file.valid() || ::fstat(found.file.fd(), &found.facts) < 0) {
    found.status = status_of(errno);
  }
  return found;
}

PagePtr FileSite::load(Found found) const {
  Representation what{.content_type = std::string{types_.of(found.name)},
                      .etag = {},
                      .last_modified = std::min(found.facts.st_mtim.tv_sec, std::time(nullptr))};
  append_etag(found.facts, what.etag);

  const auto size = static_cast<std::uint64_t>(found.facts.st_size);
  if (size > kMostInMemory) return make_page(std::move(what), std::move(found.file), size);
  return make_page(std::move(what), read_whole(found.file.fd(), size));
}

PagePtr FileSite::remember(std::string_view path, PagePtr page, const Version& version) {
  const std::size_t content = page->file ? cost_of_descriptor_ : page->body.size();
  const std::size_t cost = content + page->head.size() + path.size() + sizeof(Entry);
  entries_.push_front({.path = std::string{path},
                       .page = page,
                       .version = version,
                       .cost = cost,
                       .checked = loop_.now()});
  by_path_.emplace(entries_.front().path, entries_.begin());
  cost_ += cost;
  while (cost_ > kCacheSize) forget(std::prev(entries_.end()));
  return page;
}

void FileSite::forget(Entries::iterator entry) {
  cost_ -= entry->cost;
  by_path_.erase(entry->path);
  entries_.erase(entry);
}

}  // namespace

Site make_file_site(const std::string& root, MimeTypes types, const Loop& loop) {
  auto site = std::make_shared<FileSite>(root, std::move(types), loop);
  return [site](const Request& request) { return (*site)(request); };
}

}  // namespace procpool::http
