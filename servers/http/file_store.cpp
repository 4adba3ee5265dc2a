#include "servers/http/file_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/http/beneath.hpp"
#include "servers/http/conditions.hpp"
#include "servers/http/etag.hpp"
#include "servers/http/target.hpp"

namespace procpool::http {
namespace {

constexpr mode_t kMode = 0666;  // less the umask

// Without a body where there is nothing to say.
PagePtr answer(Status status, std::string_view fields = {}) {
  return status == Status::no_content ? make_page(status, fields, {})
                                      : make_error_page(status, fields);
}

// What is at a name now.
struct Current {
  Status status = Status::ok;  // why it cannot be changed
  bool exists = false;
  std::string etag = {};
  std::time_t modified = 0;
};

Current look_at(int directory, const std::string& name) {
  struct stat facts{};
  if (::fstatat(directory, name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) < 0) {
    return {.status = errno == ENOENT ? Status::ok : status_of_errno(errno)};
  }
  if (!S_ISREG(facts.st_mode) && !S_ISLNK(facts.st_mode)) return {.status = Status::conflict};
  Current current{.exists = true, .modified = facts.st_mtim.tv_sec};
  append_etag(facts, current.etag);
  return current;
}

Status judge(const Request& request, const Current& current) {
  if (current.status != Status::ok) return current.status;
  const auto validators =
      current.exists
          ? std::optional{Validators{.etag = current.etag, .last_modified = current.modified}}
          : std::nullopt;
  const Verdict verdict = judge_conditions(request, validators, std::time(nullptr));
  return verdict == Verdict::proceed ? Status::ok : Status::precondition_failed;
}

std::string path_of(int fd) {
  return "/proc/self/fd/" + std::to_string(fd);
}

}  // namespace

struct FileStore::Place {
  PagePtr refusal = nullptr;
  UniqueFd directory{};
  std::string name{};
};

class FileStore::Upload final : public Responder {
 public:
  explicit Upload(Place place)
      : place_{std::move(place)},
        file_{::openat(place_.directory.fd(), ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, kMode)} {
    if (!file_.valid()) throw_errno("open", place_.name);
  }

  void write(std::string_view bytes) override { write_full(file_.fd(), bytes, place_.name); }

  net::Task<PagePtr> respond(Exchange exchange) override { co_return finish(exchange.request); }

 private:
  PagePtr finish(const Request& request) const {
    const Current current = look_at(place_.directory.fd(), place_.name);
    if (const Status status = judge(request, current); status != Status::ok) return answer(status);
    const Status status =
        !current.exists && link_as(place_.name) ? Status::created : Status::no_content;
    if (status == Status::no_content) replace();
    struct stat facts{};
    if (::fstat(file_.fd(), &facts) < 0) throw_errno("fstat", place_.name);
    std::string fields{"ETag: "};
    append_etag(facts, fields);
    return answer(status, fields.append("\r\n"));
  }

  // False: somebody else was faster.
  bool link_as(const std::string& name) const {
    if (::linkat(AT_FDCWD, path_of(file_.fd()).c_str(), place_.directory.fd(), name.c_str(),
                 AT_SYMLINK_FOLLOW) == 0) {
      return true;
    }
    if (errno != EEXIST) throw_errno("link", name);
    return false;
  }

  // linkat(2) replaces nothing: for the moment between the two calls the file has another name,
  // which is hidden, of this process, and taken over by it if one was left.
  void replace() const {
    const std::string other = ".procpool-put-" + std::to_string(::getpid());
    if (!link_as(other)) {
      ::unlinkat(place_.directory.fd(), other.c_str(), 0);
      if (!link_as(other)) throw Error{"link", other, "is there"};
    }
    if (::renameat(place_.directory.fd(), other.c_str(), place_.directory.fd(),
                   place_.name.c_str()) == 0) {
      return;
    }
    const int error = errno;
    ::unlinkat(place_.directory.fd(), other.c_str(), 0);
    errno = error;
    throw_errno("rename", place_.name);
  }

  Place place_;
  UniqueFd file_;
};

FileStore::FileStore(const SiteSettings& settings)
    : dot_files_{settings.dot_files},
      symlinks_{settings.symlinks},
      root_{::open(settings.root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)} {
  if (!root_.valid()) throw_errno("open", settings.root);
  if (!settings.users.empty()) guard_.emplace(settings.users, settings.realm);
}

FileStore::Place FileStore::find(const Request& request) {
  if (guard_ && !guard_->admits(request))
    return {.refusal = answer(Status::unauthorized, guard_->challenge())};
  std::string path;
  const ResolvedTarget target = resolve_target(request.path, path);
  if (target.status != Status::ok) return {.refusal = answer(target.status)};
  if (!dot_files_ && is_hidden(path)) return {.refusal = answer(Status::forbidden)};
  if (target.ends_with_slash || path == ".") return {.refusal = answer(Status::conflict)};

  const auto slash = path.rfind('/');
  const std::string parent = slash == path.npos ? "." : path.substr(0, slash);
  Place place{.directory = open_beneath(root_.fd(), parent,
                                        {.flags = O_PATH | O_DIRECTORY, .symlinks = symlinks_}),
              .name = slash == path.npos ? path : path.substr(slash + 1)};
  if (!place.directory.valid()) {
    const Status status = status_of_errno(errno);
    const bool puts = request.method == Method::put;
    place.refusal = answer(status == Status::not_found && puts ? Status::conflict : status);
  }
  return place;
}

Reception FileStore::put(const Request& request) {
  Place place = find(request);
  if (place.refusal) return {.page = std::move(place.refusal)};
  // RFC 9110 §14.5: a part is not what the whole should be.
  if (request.field("content-range")) return {.page = answer(Status::bad_request)};
  const Status status = judge(request, look_at(place.directory.fd(), place.name));
  if (status != Status::ok) return {.page = answer(status)};
  try {
    return {.responder = std::make_unique<Upload>(std::move(place))};
  } catch (const Error& error) {
    return {.page = answer(status_of_errno(error.code().value()))};
  }
}

PagePtr FileStore::remove(const Request& request) {
  const Place place = find(request);
  if (place.refusal) return place.refusal;
  const Current current = look_at(place.directory.fd(), place.name);
  if (current.status == Status::ok && !current.exists) return answer(Status::not_found);
  if (const Status status = judge(request, current); status != Status::ok) return answer(status);
  if (::unlinkat(place.directory.fd(), place.name.c_str(), 0) < 0)
    return answer(status_of_errno(errno));
  return answer(Status::no_content);
}

}  // namespace procpool::http
