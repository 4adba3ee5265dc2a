#include "servers/http/directory_listing.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <memory>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

#include "ipc/base/error.hpp"
#include "servers/http/beneath.hpp"
#include "servers/http/html.hpp"
#include "servers/http/target.hpp"

namespace procpool::http {
namespace {

using Key = ListingOrder::Key;
using Format = ListingOrder::Format;

constexpr std::string_view kStyle = R"(<style>
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color-scheme:light dark}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.2rem .6rem}
td+td,th+th{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
tbody tr:hover{background:#8882}
td:first-child{overflow-wrap:anywhere}
</style>)";

struct CloseDirectory {
  void operator()(DIR* stream) const noexcept { ::closedir(stream); }
};

// "2026-11-21 09:30", UTC.
void append_time(std::time_t time, std::string& out) {
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  std::array<char, 32> text;
  out.append(text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M", &parts));
}

void append_column(std::string_view title, std::string_view key, bool ascending_now,
                   std::string& out) {
  out.append("<th><a href=\"?sort=").append(key);
  if (ascending_now) out.append("&amp;order=desc");
  out.append("\">").append(title).append("</a></th>");
}

}  // namespace

ListingOrder parse_listing_order(std::string_view query) noexcept {
  ListingOrder order;
  while (!query.empty()) {
    const auto end = query.find('&');
    const std::string_view part = query.substr(0, end);
    query = end == query.npos ? std::string_view{} : query.substr(end + 1);
    if (part == "sort=name") order.key = Key::name;
    if (part == "sort=size") order.key = Key::size;
    if (part == "sort=time") order.key = Key::time;
    if (part == "order=asc") order.descending = false;
    if (part == "order=desc") order.descending = true;
    if (part == "format=html") order.format = Format::html;
    if (part == "format=json") order.format = Format::json;
  }
  return order;
}

DirectoryListing::DirectoryListing(int root, std::string name, ListingOptions options)
    : root_{root},
      name_{std::move(name)},
      directory_{open_beneath(root, name_,
                              {.flags = O_RDONLY | O_DIRECTORY, .symlinks = options.symlinks})},
      options_{options} {
  if (!directory_.valid()) throw_errno("open", name_);
  read_names();
  sort();
}

void DirectoryListing::read_names() {
  UniqueFd copy{::fcntl(directory_.fd(), F_DUPFD_CLOEXEC, 0)};
  if (!copy.valid()) throw_errno("dup", name_);
  const std::unique_ptr<DIR, CloseDirectory> stream{::fdopendir(copy.fd())};
  if (!stream) throw_errno("opendir", name_);
  std::ignore = copy.release();  // it is the stream's now
  for (errno = 0; const dirent* const entry = ::readdir(stream.get()); errno = 0) {
    const std::string_view name{entry->d_name};
    if (name == "." || name == ".." || name.starts_with(kUnfinished)) continue;
    if (name.starts_with('.') && !options_.dot_files) continue;
    Item item{.name = std::string{name},
              .directory = entry->d_type == DT_DIR,
              .link = entry->d_type == DT_LNK};
    const bool known = entry->d_type == DT_REG || item.directory;
    if (known || look_at(item)) items_.push_back(std::move(item));
  }
  if (errno != 0) throw_errno("readdir", name_);
}

// False: it is not there any more, or nothing to show.
bool DirectoryListing::look_at(Item& item) const {
  struct stat facts{};
  if (item.link) {
    const UniqueFd target = open_beneath(root_, std::string{name_}.append("/").append(item.name),
                                         {.flags = O_PATH, .symlinks = options_.symlinks});
    if (!target.valid() || ::fstat(target.fd(), &facts) < 0) return false;
  } else if (::fstatat(directory_.fd(), item.name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) < 0) {
    return false;
  }
  if (!S_ISREG(facts.st_mode) && !S_ISDIR(facts.st_mode)) return false;
  item.directory = S_ISDIR(facts.st_mode);
  item.facts = facts;
  return true;
}

void DirectoryListing::sort() {
  const ListingOrder order = options_.order;
  if (order.key != Key::name) {
    std::erase_if(items_, [this](Item& item) { return !look_at(item); });
  }
  const auto value = [&](const Item& item) -> std::int64_t {
    if (order.key == Key::name) return 0;
    return order.key == Key::size && !item.directory ? item.facts->st_size
           : order.key == Key::size                  ? 0
                                                     : item.facts->st_mtim.tv_sec;
  };
  std::sort(items_.begin(), items_.end(), [&](const Item& left, const Item& right) {
    if (left.directory != right.directory) return left.directory;
    const Item& lower = order.descending ? right : left;
    const Item& higher = order.descending ? left : right;
    return std::tuple{value(lower), std::string_view{lower.name}} <
           std::tuple{value(higher), std::string_view{higher.name}};
  });
}

bool DirectoryListing::append_more(std::string& out) {
  const std::size_t enough = out.size() + kPiece;
  if (std::exchange(first_, false)) append_begin(out);
  while (next_ < items_.size() && out.size() < enough) {
    Item& item = items_[next_++];
    if (item.facts || look_at(item)) append_item(item, out);
  }
  if (next_ < items_.size()) return true;
  append_end(out);
  return false;
}

void DirectoryListing::append_begin(std::string& out) const {
  if (options_.order.format == Format::json) {
    out.append("[");
    return;
  }
  const std::string path = name_ == "." ? "/" : "/" + name_ + "/";
  out.append("<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>");
  append_escaped_html(path, out);
  out.append("</title>\n<meta name=\"viewport\" content=\"width=device-width\">\n")
      .append(kStyle)
      .append("</head>\n<body>\n<h1>");
  append_escaped_html(path, out);
  out.append("</h1>\n<table>\n<thead><tr>");
  const auto ascending = [&](Key key) {
    return options_.order.key == key && !options_.order.descending;
  };
  append_column("Name", "name", ascending(Key::name), out);
  append_column("Size", "size", ascending(Key::size), out);
  append_column("Modified (UTC)", "time", ascending(Key::time), out);
  out.append("</tr></thead>\n<tbody>\n");
  if (path != "/") out.append("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
}

void DirectoryListing::append_item(const Item& item, std::string& out) {
  const bool first = std::exchange(empty_, false);
  if (options_.order.format == Format::json) {
    nlohmann::ordered_json object{{"name", item.name},
                                  {"type", item.directory ? "directory" : "file"}};
    if (!item.directory) object["size"] = item.facts->st_size;
    object["modified"] = item.facts->st_mtim.tv_sec;
    out.append(first ? "\n" : ",\n")
        .append(object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    return;
  }
  const std::string_view slash = item.directory ? "/" : "";
  // "./" before it: a name may hold a ':', and would be a scheme (RFC 3986 §4.2).
  out.append("<tr><td><a href=\"./");
  append_percent_encoded(item.name, out);
  out.append(slash).append("\">");
  append_escaped_html(item.name, out);
  out.append(slash).append("</a></td><td>");
  if (!item.directory) out.append(std::to_string(item.facts->st_size));
  out.append("</td><td>");
  append_time(item.facts->st_mtim.tv_sec, out);
  out.append("</td></tr>\n");
}

void DirectoryListing::append_end(std::string& out) const {
  if (options_.order.format == Format::json) {
    out.append("\n]\n");
  } else {
    out.append("</tbody>\n</table>\n</body>\n</html>\n");
  }
}

}  // namespace procpool::http
