#include "servers/http/file_store.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <exception>
#include <string_view>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/http/beneath.hpp"
#include "servers/http/conditions.hpp"
#include "servers/http/etag.hpp"
#include "servers/http/site.hpp"
#include "servers/http/target.hpp"
#include "servers/http/tree_removal.hpp"
#include "servers/net/wait.hpp"

namespace procpool::http {
namespace {

constexpr mode_t kMode = 0666;  // less the umask
constexpr mode_t kDirectoryMode = 0777;
constexpr std::string_view kMethods = "GET, HEAD, OPTIONS, PUT, DELETE, MKCOL";

// Without a body where there is nothing to say.
PagePtr answer(Status status, std::string_view fields = {}) {
  return status == Status::no_content ? make_page(status, fields, {})
                                      : make_error_page(status, fields);
}

PagePtr answer_errno() {
  return answer(status_of_errno(errno));
}

// RFC 4918 §18.1: what claims PUT and MKCOL by this is of class 1.
PagePtr refuse(const Request& request) {
  if (request.method != Method::options) return refuse_method(request, kMethods);
  return make_page(Status::no_content,
                   std::string{"DAV: 1\r\nAllow: "}.append(kMethods).append("\r\n"), {});
}

// What is at a name now.
struct Current {
  Status status = Status::ok;  // why it cannot be changed
  bool exists = false;
  bool directory = false;
  std::string etag = {};
  std::time_t modified = 0;
};

Current look_at(int directory, const std::string& name) {
  struct stat facts{};
  if (::fstatat(directory, name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) < 0) {
    return {.status = errno == ENOENT ? Status::ok : status_of_errno(errno)};
  }
  const bool is_directory = S_ISDIR(facts.st_mode);
  if (!is_directory && !S_ISREG(facts.st_mode) && !S_ISLNK(facts.st_mode))
    return {.status = Status::conflict};
  Current current{.exists = true, .directory = is_directory, .modified = facts.st_mtim.tv_sec};
  if (!is_directory) append_etag(facts, current.etag);
  return current;
}

Status judge(const Request& request, const Current& current) {
  if (current.status != Status::ok) return current.status;
  const std::string compressed = current.etag.empty() ? "" : gzip_etag(current.etag);
  const auto validators =
      current.exists
          ? std::optional{Validators{
                .etag = current.etag, .gzip_etag = compressed, .last_modified = current.modified}}
          : std::nullopt;
  const Verdict verdict = judge_conditions(request, validators, std::time(nullptr));
  return verdict == Verdict::proceed ? Status::ok : Status::precondition_failed;
}

Status judge_put(const Request& request, const Current& current) {
  return current.directory ? Status::conflict : judge(request, current);
}

std::string unfinished(std::string_view kind, std::uint64_t number) {
  return std::string{kUnfinished}.append(kind).append(std::to_string(number));
}

std::string path_of(int fd) {
  return "/proc/self/fd/" + std::to_string(fd);
}

// True: done. False: there is something of this name.
bool is_done(int result, const std::string& name) {
  if (result == 0) return true;
  if (errno != EEXIST) throw_errno("rename", name);
  return false;
}

bool is_same(const struct stat& left, const struct stat& right) noexcept {
  return left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

// A file under an unfinished name, locked as long as it is open: what is not locked was left by a
// process that was killed. Not valid: somebody has it, or has had it up to now.
UniqueFd try_to_lock(int directory, const std::string& name) {
  UniqueFd file{
      ::openat(directory, name.c_str(), O_CREAT | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, kMode)};
  if (!file.valid()) throw_errno("open", name);
  if (::flock(file.fd(), LOCK_EX | LOCK_NB) < 0) {
    if (errno != EWOULDBLOCK) throw_errno("flock", name);
    return {};
  }
  struct stat opened{};
  struct stat named{};
  if (::fstat(file.fd(), &opened) < 0) throw_errno("fstat", name);
  const bool is_named = ::fstatat(directory, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0;
  if (!is_named || !is_same(opened, named) || opened.st_nlink != 1) return {};
  if (::ftruncate(file.fd(), 0) < 0) throw_errno("ftruncate", name);
  return file;
}

// The new content of a file, beside the place where it belongs.
class NewFile {
 public:
  explicit NewFile(int directory)
      : directory_{directory},
        file_{::openat(directory, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, kMode)} {
    if (file_.valid()) return;
    if (errno != EOPNOTSUPP && errno != EISDIR) throw_errno("open", "file without a name");
    for (std::uint64_t number = 0; !file_.valid(); ++number) {
      name_ = unfinished("new-", number);
      file_ = try_to_lock(directory, name_);
    }
  }
  NewFile(NewFile&& other) noexcept
      : directory_{other.directory_},
        file_{std::move(other.file_)},
        name_{std::exchange(other.name_, {})} {}
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile() {
    if (!name_.empty()) ::unlinkat(directory_, name_.c_str(), 0);
  }

  int fd() const noexcept { return file_.fd(); }

  // False: there is something of this name.
  bool become(const std::string& name) {
    if (name_.empty()) return link_as(name);
    int result = ::renameat2(directory_, name_.c_str(), directory_, name.c_str(), RENAME_NOREPLACE);
    if (result == 0) {
      name_.clear();
    } else if (errno == EINVAL) {  // not known to this file system, as NFS
      result = ::linkat(directory_, name_.c_str(), directory_, name.c_str(), 0);
    }
    return is_done(result, name);
  }

  // Atomically. linkat(2) replaces nothing: for the moment between the two calls the file has
  // another name, of this process, and taken over by it if one was left.
  void replace(const std::string& name) {
    if (name_.empty()) {
      std::string other = unfinished("put-", static_cast<std::uint64_t>(::getpid()));
      if (!link_as(other)) {
        ::unlinkat(directory_, other.c_str(), 0);
        if (!link_as(other)) throw Error{"link", other, "is there"};
      }
      name_ = std::move(other);
    }
    if (::renameat(directory_, name_.c_str(), directory_, name.c_str()) < 0)
      throw_errno("rename", name);
    name_.clear();
  }

 private:
  bool link_as(const std::string& name) const {
    return is_done(::linkat(AT_FDCWD, path_of(file_.fd()).c_str(), directory_, name.c_str(),
                            AT_SYMLINK_FOLLOW),
                   name);
  }

  int directory_;
  UniqueFd file_;
  std::string name_;  // empty: it has none
};

}  // namespace

struct FileStore::Place {
  PagePtr refusal = nullptr;
  bool ends_with_slash = false;
  UniqueFd directory{};
  std::string name{};
};

class FileStore::Upload final : public Responder {
 public:
  explicit Upload(Place place) : place_{std::move(place)}, file_{place_.directory.fd()} {}

  void write(std::string_view bytes) override { write_full(file_.fd(), bytes, place_.name); }

  net::Task<PagePtr> respond(Exchange exchange) override { co_return finish(exchange.request); }

 private:
  PagePtr finish(const Request& request) {
    const Current current = look_at(place_.directory.fd(), place_.name);
    if (const Status status = judge_put(request, current); status != Status::ok)
      return answer(status);
    const Status status =
        !current.exists && file_.become(place_.name) ? Status::created : Status::no_content;
    if (status == Status::no_content) file_.replace(place_.name);
    struct stat facts{};
    if (::fstat(file_.fd(), &facts) < 0) throw_errno("fstat", place_.name);
    std::string fields{"ETag: "};
    append_etag(facts, fields);
    return answer(status, fields.append("\r\n"));
  }

  Place place_;
  NewFile file_;
};

// Of a directory.
class FileStore::Removal final : public Responder {
 public:
  Removal(Place place, FileStore& store) : place_{std::move(place)}, store_{store} {}
  Removal(const Removal&) = delete;
  Removal& operator=(const Removal&) = delete;

  // Nobody waits for it any more, but it has begun.
  ~Removal() override {
    if (!removal_) return;
    try {
      while (removal_->remove_some()) {
      }
    } catch (const std::exception&) {
      come_back();
    }
  }

  void write(std::string_view) override {}

  net::Task<PagePtr> respond(Exchange exchange) override {
    const Current current = look_at(place_.directory.fd(), place_.name);
    if (const Status status = judge(exchange.request, current); status != Status::ok)
      co_return answer(status);
    if (!hide()) co_return answer_errno();
    try {
      removal_.emplace(place_.directory.fd(), hidden_);
      while (removal_->remove_some()) co_await net::sleep_until(store_.loop_, Deadline::now());
      removal_.reset();
    } catch (const Error& error) {
      removal_.reset();
      come_back();
      co_return answer(error.code().value() == EBUSY || error.code().value() == ELOOP
                           ? Status::conflict
                           : status_of_errno(error.code().value()));
    }
    co_return answer(Status::no_content);
  }

 private:
  bool hide() {
    do {
      hidden_ = unfinished("gone-", static_cast<std::uint64_t>(::getpid())) + "-" +
                std::to_string(store_.removals_++);
      if (rename(place_.name, hidden_)) return true;
    } while (errno == EEXIST || errno == ENOTEMPTY);
    return false;
  }

  // Unless something else has its name now.
  void come_back() const { rename(hidden_, place_.name); }

  bool rename(const std::string& from, const std::string& to) const {
    const int directory = place_.directory.fd();
    if (::renameat2(directory, from.c_str(), directory, to.c_str(), RENAME_NOREPLACE) == 0)
      return true;
    // Not known to this file system, as NFS: of a directory nothing is replaced but an empty one.
    return errno == EINVAL && ::renameat(directory, from.c_str(), directory, to.c_str()) == 0;
  }

  Place place_;
  FileStore& store_;
  std::string hidden_;
  std::optional<TreeRemoval> removal_;  // as long as it is under way
};

FileStore::FileStore(const SiteSettings& settings, Loop& loop)
    : dot_files_{settings.dot_files},
      symlinks_{settings.symlinks},
      root_{::open(settings.root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)},
      loop_{loop} {
  if (!root_.valid()) throw_errno("open", settings.root);
  if (!settings.users.empty()) guard_.emplace(settings.users, settings.realm);
}

Reception FileStore::receive(const Request& request) {
  switch (request.method) {
    case Method::put:
      return put(request);
    case Method::delete_:
      return remove(request);
    case Method::mkcol:
      return {.page = make_collection(request)};
    default:
      return {.page = refuse(request)};
  }
}

FileStore::Place FileStore::find(const Request& request) {
  if (guard_ && !guard_->admits(request))
    return {.refusal = answer(Status::unauthorized, guard_->challenge())};
  std::string path;
  const ResolvedTarget target = resolve_target(request.path, path);
  if (target.status != Status::ok) return {.refusal = answer(target.status)};
  if (is_hidden(path, dot_files_)) return {.refusal = answer(Status::forbidden)};

  const auto slash = path.rfind('/');
  const std::string parent = slash == path.npos ? "." : path.substr(0, slash);
  Place place{.ends_with_slash = target.ends_with_slash,
              .directory = open_beneath(root_.fd(), parent,
                                        {.flags = O_PATH | O_DIRECTORY, .symlinks = symlinks_}),
              .name = slash == path.npos ? path : path.substr(slash + 1)};
  if (!place.directory.valid()) {
    const Status status = status_of_errno(errno);
    const bool makes = request.method != Method::delete_;
    place.refusal = answer(status == Status::not_found && makes ? Status::conflict : status);
  }
  return place;
}

Reception FileStore::put(const Request& request) {
  Place place = find(request);
  if (place.refusal) return {.page = std::move(place.refusal)};
  if (place.ends_with_slash) return {.page = answer(Status::conflict)};
  // RFC 9110 §14.5: a part is not what the whole should be.
  if (request.field("content-range")) return {.page = answer(Status::bad_request)};
  const Status status = judge_put(request, look_at(place.directory.fd(), place.name));
  if (status != Status::ok) return {.page = answer(status)};
  try {
    return {.responder = std::make_unique<Upload>(std::move(place))};
  } catch (const Error& error) {
    return {.page = answer(status_of_errno(error.code().value()))};
  }
}

Reception FileStore::remove(const Request& request) {
  Place place = find(request);
  if (place.refusal) return {.page = std::move(place.refusal)};
  const Current current = look_at(place.directory.fd(), place.name);
  const bool is_there = current.exists && (current.directory || !place.ends_with_slash);
  if (current.status == Status::ok && !is_there) return {.page = answer(Status::not_found)};
  if (const Status status = judge(request, current); status != Status::ok)
    return {.page = answer(status)};
  if (current.directory) {
    if (place.name == ".") return {.page = answer(Status::forbidden)};
    // RFC 4918 §9.6.1.
    if (!equals_ignoring_case(request.field("depth").value_or("infinity"), "infinity"))
      return {.page = answer(Status::bad_request)};
    return {.responder = std::make_unique<Removal>(std::move(place), *this)};
  }
  if (::unlinkat(place.directory.fd(), place.name.c_str(), 0) < 0) return {.page = answer_errno()};
  return {.page = answer(Status::no_content)};
}

PagePtr FileStore::make_collection(const Request& request) {
  const Place place = find(request);
  if (place.refusal) return place.refusal;
  // RFC 4918 §9.3: no body is known here.
  if (request.body_framing == BodyFraming::chunked || request.content_length > 0)
    return answer(Status::unsupported_media_type);
  const Current current = look_at(place.directory.fd(), place.name);
  if (current.exists) return refuse(request);
  if (const Status status = judge(request, current); status != Status::ok) return answer(status);
  if (::mkdirat(place.directory.fd(), place.name.c_str(), kDirectoryMode) < 0)
    return errno == EEXIST ? refuse(request) : answer_errno();
  return answer(Status::created);
}

}  // namespace procpool::http
