#include "servers/http/file_site.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <list>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"
#include "servers/http/accept_encoding.hpp"
#include "servers/http/basic_authentication.hpp"
#include "servers/http/beneath.hpp"
#include "servers/http/directory_listing.hpp"
#include "servers/http/error_pages.hpp"
#include "servers/http/etag.hpp"
#include "servers/http/file_store.hpp"
#include "servers/http/gzip.hpp"
#include "servers/http/target.hpp"

namespace procpool::http {
namespace {

std::string read_whole(int file, std::uint64_t size) {
  if (::lseek(file, 0, SEEK_SET) < 0) throw_errno("lseek", "file");
  std::string body(size, '\0');
  body.resize(read_full(file, std::as_writable_bytes(std::span{body}), "file"));
  return body;
}

constexpr std::string_view kAllowReading = "Allow: GET, HEAD, OPTIONS\r\n";

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

// Smaller ones gain nothing by gzip; compressing a larger one would keep others waiting.
constexpr std::uint64_t kLeastToCompress = 256;
constexpr std::uint64_t kMostToCompress = std::uint64_t{1} << 20;

// What of a file must be the same for its page to be still true.
struct Version {
  static Version of(const struct stat& facts) noexcept {
    return {.device = facts.st_dev,
            .inode = facts.st_ino,
            .size = facts.st_size,
            .modified = facts.st_mtim,
            .changed = facts.st_ctim};
  }
  bool same_as(const Version& other) const noexcept {
    return device == other.device && inode == other.inode && size == other.size &&
           modified.tv_sec == other.modified.tv_sec && modified.tv_nsec == other.modified.tv_nsec &&
           changed.tv_sec == other.changed.tv_sec && changed.tv_nsec == other.changed.tv_nsec;
  }

  dev_t device = 0;
  ino_t inode = 0;
  off_t size = 0;
  timespec modified{};
  timespec changed{};
};

bool is_before(const timespec& left, const timespec& right) noexcept {
  return left.tv_sec != right.tv_sec ? left.tv_sec < right.tv_sec : left.tv_nsec < right.tv_nsec;
}

net::Generator<std::string> pieces_of(DirectoryListing listing, std::string piece) {
  for (bool more = true; more;) {
    co_yield std::exchange(piece, {});
    more = listing.append_more(piece);
  }
  co_yield std::move(piece);
}

class FileSite {
 public:
  FileSite(const SiteSettings& settings, MimeTypes types, Loop& loop, std::string_view prefix,
           std::size_t share);

  Reception receive(const Request& request);

 private:
  struct File {
    UniqueFd fd{};
    struct stat facts{};
  };
  struct Found {
    Status status = Status::ok;
    File file{};
    std::string name{};      // relative to the root
    std::string location{};  // of a redirection
    bool directory = false;  // that is to be listed
    File gzip{}, br{};       // its precompressed siblings, if they are valid
  };

  // One content in one coding, and the version of the file that it came from.
  struct Variant {
    PagePtr page = nullptr;
    Version version{};

    bool is_changed_in_place() const noexcept;
    bool is_still(const File& file) const noexcept;
  };
  struct Entry {
    std::string path;
    Variant identity, gzip, br;
    bool may_gzip;  // on the fly, when somebody asks for it
    std::size_t cost;
    Deadline::Clock::time_point checked;

    bool is_changed_in_place() const noexcept;
    bool is_still(const Found& found) const noexcept;
  };
  using Entries = std::list<Entry>;  // the most recently used first

  PagePtr page_for(const Request& request);
  PagePtr redirect(const Request& request) const;
  PagePtr list(std::string directory, const Request& request) const;
  Found find(std::string_view path) const;
  Found open(std::string name) const;
  File open_sibling(const Found& found, std::string_view suffix) const;
  Representation describe(const Found& found, const File& file, Coding coding, bool varies) const;
  Variant load(Representation what, File file) const;
  Entry make_entry(std::string_view path, Found found) const;
  PagePtr negotiate(Entry& entry, const Request& request);
  PagePtr gzip_on_the_fly(Entry& entry);
  std::size_t cost_of(const Variant& variant) const noexcept;
  PagePtr remember(Entry entry, const Request& request);
  void shrink();
  void forget(Entries::iterator entry);

  SiteSettings settings_;
  std::string prefix_;   // of the paths that come here, with its last '/'
  std::string headers_;  // lines, of every answer
  std::string lasting_;  // lines, of every representation
  std::optional<Guard> guard_;
  std::optional<FileStore> store_;
  UniqueFd root_;
  MimeTypes types_;
  ErrorPages error_pages_;
  Loop& loop_;
  const std::chrono::seconds freshness_;
  const std::size_t cost_of_descriptor_ = cost_of_descriptor();
  Entries entries_;
  std::unordered_map<std::string_view, Entries::iterator> by_path_;
  std::size_t cost_ = 0;
  std::size_t most_cost_;
};

// What is sent from the file is what it holds now: a head that is older than that must not go
// before it, however fresh.
bool FileSite::Variant::is_changed_in_place() const noexcept {
  if (!page || !page->file) return false;
  struct stat facts{};
  return ::fstat(page->file->fd(), &facts) < 0 || !Version::of(facts).same_as(version);
}

bool FileSite::Variant::is_still(const File& file) const noexcept {
  if (!page || !file.fd.valid()) return !page && !file.fd.valid();
  return version.same_as(Version::of(file.facts));
}

bool FileSite::Entry::is_changed_in_place() const noexcept {
  return identity.is_changed_in_place() || gzip.is_changed_in_place() || br.is_changed_in_place();
}

// What was compressed on the fly is of the version that `identity` is of.
bool FileSite::Entry::is_still(const Found& found) const noexcept {
  return found.status == Status::ok && !found.directory && identity.is_still(found.file) &&
         br.is_still(found.br) && (may_gzip ? !found.gzip.fd.valid() : gzip.is_still(found.gzip));
}

FileSite::FileSite(const SiteSettings& settings, MimeTypes types, Loop& loop,
                   std::string_view prefix, std::size_t share)
    : settings_{settings},
      prefix_{prefix},
      types_{std::move(types)},
      error_pages_{settings, types_},
      loop_{loop},
      // Who has put something sees it, whichever worker answers.
      freshness_{settings.writable ? std::chrono::seconds{0} : kFreshness},
      most_cost_{kCacheSize / share} {
  if (!prefix_.ends_with('/')) prefix_.push_back('/');
  for (const std::string& header : settings.headers) headers_.append(header).append("\r\n");
  lasting_ = headers_;
  if (!settings.cache_control.empty())
    lasting_.append("Cache-Control: ").append(settings.cache_control).append("\r\n");
  if (!settings.users.empty()) guard_.emplace(settings.users, settings.realm);
  if (settings.redirect) return;
  root_ = UniqueFd{::open(settings.root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  if (!root_.valid()) throw_errno("open", settings.root);
  if (settings.writable) store_.emplace(settings, loop);
}

Reception FileSite::receive(const Request& request) {
  if (request.method == Method::get || request.method == Method::head)
    return {.page = page_for(request)};
  if (store_) return store_->receive(request);
  if (request.method == Method::options) return {.page = refuse_method(request)};
  return {.page = error_pages_.make(Status::method_not_allowed, kAllowReading)};
}

PagePtr FileSite::page_for(const Request& request) {
  if (guard_ && !guard_->admits(request))
    return error_pages_.make(Status::unauthorized, guard_->challenge());
  if (settings_.redirect) return redirect(request);

  const auto known = by_path_.find(request.path);
  if (known != by_path_.end()) {
    entries_.splice(entries_.begin(), entries_, known->second);
    Entry& entry = *known->second;
    if (loop_.now() - entry.checked < freshness_ && !entry.is_changed_in_place())
      return negotiate(entry, request);
  }

  Found found = find(request.path);
  if (known != by_path_.end()) {
    Entry& entry = *known->second;
    if (entry.is_still(found)) {
      entry.checked = loop_.now();
      return negotiate(entry, request);
    }
    forget(known->second);
  }

  if (found.status == Status::moved_permanently) {
    if (!request.query.empty()) found.location.append("?").append(request.query);
    return error_pages_.make(found.status,
                             std::string{"Location: "}.append(found.location).append("\r\n"));
  }
  if (found.status == Status::service_unavailable)
    return error_pages_.make(found.status, "Retry-After: 1\r\n");
  if (found.status != Status::ok) return error_pages_.make(found.status);
  if (found.directory) return list(std::move(found.name), request);
  return remember(make_entry(request.path, std::move(found)), request);
}

PagePtr FileSite::redirect(const Request& request) const {
  std::string location{"Location: "};
  location.append(settings_.redirect->location);
  if (location.ends_with('*')) {
    location.pop_back();
    std::string path{"/"};
    const ResolvedTarget target = resolve_target(request.path, path);
    if (target.status != Status::ok) return error_pages_.make(target.status);
    if (path == "/.") path.pop_back();
    if (target.ends_with_slash && !path.ends_with('/')) path.push_back('/');
    if (path.starts_with(prefix_))
      append_percent_encoded(std::string_view{path}.substr(prefix_.size()), location);
    if (!request.query.empty()) location.append("?").append(request.query);
  }
  return error_pages_.make(settings_.redirect->status, location.append("\r\n"));
}

PagePtr FileSite::list(std::string directory, const Request& request) const {
  const ListingOrder order = parse_listing_order(request.query);
  DirectoryListing listing{
      root_.fd(),
      std::move(directory),
      {.order = order, .dot_files = settings_.dot_files, .symlinks = settings_.symlinks}};
  std::string fields{"Cache-Control: no-cache\r\nContent-Type: "};
  fields.append(order.format == ListingOrder::Format::json ? "application/json"
                                                           : "text/html; charset=utf-8");
  fields.append("\r\n").append(headers_);
  std::string begin;
  if (!listing.append_more(begin)) return make_page(Status::ok, fields, std::move(begin));
  return make_streamed_page(Status::ok, fields,
                            {.pieces = pieces_of(std::move(listing), std::move(begin))});
}

FileSite::Found FileSite::find(std::string_view path) const {
  std::string name;
  const ResolvedTarget target = resolve_target(path, name);
  if (target.status != Status::ok) return {.status = target.status};
  if (is_hidden(name, settings_.dot_files)) return {.status = Status::not_found};

  Found found = open(name);
  if (found.status != Status::ok) return found;
  if (S_ISDIR(found.file.facts.st_mode)) {
    if (target.ends_with_slash || name == ".") {
      found = open(std::string{name}.append("/index.html"));
      if (found.status == Status::not_found) {  // the directory is there
        if (settings_.listing) return {.name = std::move(name), .directory = true};
        return {.status = Status::forbidden};
      }
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
  if (found.status != Status::ok) return found;
  if (!S_ISREG(found.file.facts.st_mode)) return {.status = Status::forbidden};
  if (settings_.precompressed) {
    found.gzip = open_sibling(found, ".gz");
    found.br = open_sibling(found, ".br");
  }
  return found;
}

FileSite::Found FileSite::open(std::string name) const {
  Found found{.file = {.fd = open_beneath(root_.fd(), name, {.symlinks = settings_.symlinks})}};
  found.name = std::move(name);
  if (!found.file.fd.valid() || ::fstat(found.file.fd.fd(), &found.file.facts) < 0) {
    found.status = status_of_errno(errno);
  }
  return found;
}

// One that is older than the file was made of another content.
FileSite::File FileSite::open_sibling(const Found& found, std::string_view suffix) const {
  Found sibling = open(std::string{found.name}.append(suffix));
  const struct stat& facts = sibling.file.facts;
  if (sibling.status != Status::ok || !S_ISREG(facts.st_mode) ||
      is_before(facts.st_mtim, found.file.facts.st_mtim)) {
    return {};
  }
  return std::move(sibling.file);
}

Representation FileSite::describe(const Found& found, const File& file, Coding coding,
                                  bool varies) const {
  Representation what{
      .content_type = std::string{types_.of(found.name)},
      .etag = {},
      .last_modified = std::min(found.file.facts.st_mtim.tv_sec, std::time(nullptr)),
      .content_encoding = std::string{name_of(coding)},
      .other_fields = lasting_ + (varies ? "Vary: Accept-Encoding\r\n" : "")};
  append_etag(file.facts, what.etag);
  return what;
}

FileSite::Variant FileSite::load(Representation what, File file) const {
  const Version version = Version::of(file.facts);
  const auto size = static_cast<std::uint64_t>(file.facts.st_size);
  if (size > kMostInMemory)
    return {.page = make_page(std::move(what), std::move(file.fd), size), .version = version};
  return {.page = make_page(std::move(what), read_whole(file.fd.fd(), size)), .version = version};
}

FileSite::Entry FileSite::make_entry(std::string_view path, Found found) const {
  const auto size = static_cast<std::uint64_t>(found.file.facts.st_size);
  const bool has_gzip = found.gzip.fd.valid();
  const bool has_br = found.br.fd.valid();
  const bool may_gzip = settings_.gzip && !has_gzip && size >= kLeastToCompress &&
                        size <= kMostToCompress && is_compressible(types_.of(found.name));
  const bool varies = has_gzip || has_br || may_gzip;

  Entry entry{.path = std::string{path},
              .identity = {},
              .gzip = {},
              .br = {},
              .may_gzip = may_gzip,
              .cost = path.size() + sizeof(Entry),
              .checked = loop_.now()};
  const auto add = [&](Variant& variant, File& file, Coding coding) {
    Representation what = describe(found, file, coding, varies);
    variant = load(std::move(what), std::move(file));
    entry.cost += cost_of(variant);
  };
  if (has_gzip) add(entry.gzip, found.gzip, Coding::gzip);
  if (has_br) add(entry.br, found.br, Coding::br);
  add(entry.identity, found.file, Coding::identity);
  return entry;
}

PagePtr FileSite::negotiate(Entry& entry, const Request& request) {
  const Codings available{.gzip = entry.gzip.page || entry.may_gzip,
                          .br = entry.br.page != nullptr};
  if (!available.gzip && !available.br) return entry.identity.page;
  switch (choose_coding(request.fields, available)) {
    case Coding::identity:
      break;
    case Coding::gzip:
      return entry.gzip.page ? entry.gzip.page : gzip_on_the_fly(entry);
    case Coding::br:
      return entry.br.page;
  }
  return entry.identity.page;
}

PagePtr FileSite::gzip_on_the_fly(Entry& entry) {
  const Page& plain = *entry.identity.page;
  std::string text;
  if (plain.file) {
    text = read_whole(plain.file->fd(), plain.size);
    if (entry.is_changed_in_place()) return entry.identity.page;
  }
  Representation what = *plain.representation;
  what.content_encoding = name_of(Coding::gzip);
  what.etag = gzip_etag(what.etag);
  entry.gzip.page = make_page(std::move(what), gzip(plain.file ? text : plain.body));
  const PagePtr page = entry.gzip.page;
  const std::size_t cost = cost_of(entry.gzip);
  entry.cost += cost;
  cost_ += cost;
  shrink();
  return page;
}

std::size_t FileSite::cost_of(const Variant& variant) const noexcept {
  const Page& page = *variant.page;
  const std::size_t content = page.file ? cost_of_descriptor_ : page.body.size();
  return content + 2 * page.head.size() + sizeof(Page) + sizeof(Representation);
}

PagePtr FileSite::remember(Entry entry, const Request& request) {
  cost_ += entry.cost;
  entries_.push_front(std::move(entry));
  by_path_.emplace(entries_.front().path, entries_.begin());
  const PagePtr page = negotiate(entries_.front(), request);
  shrink();
  return page;
}

void FileSite::shrink() {
  while (cost_ > most_cost_) forget(std::prev(entries_.end()));
}

void FileSite::forget(Entries::iterator entry) {
  cost_ -= entry->cost;
  by_path_.erase(entry->path);
  entries_.erase(entry);
}

}  // namespace

Site make_file_site(const SiteSettings& settings, MimeTypes types, Loop& loop,
                    std::string_view prefix, std::size_t share) {
  auto site = std::make_shared<FileSite>(settings, std::move(types), loop, prefix, share);
  return [site](const Request& request) { return site->receive(request); };
}

}  // namespace procpool::http
