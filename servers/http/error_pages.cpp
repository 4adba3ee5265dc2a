#include "servers/http/error_pages.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstddef>
#include <optional>
#include <span>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/http/beneath.hpp"

namespace procpool::http {
namespace {

constexpr off_t kLargest = off_t{1} << 20;

std::optional<std::string> try_to_read(int root, const std::string& name, bool symlinks) {
  const UniqueFd file = open_beneath(root, name, {.symlinks = symlinks});
  struct stat facts{};
  if (!file.valid() || ::fstat(file.fd(), &facts) < 0) return std::nullopt;
  if (!S_ISREG(facts.st_mode) || facts.st_size > kLargest) return std::nullopt;
  std::string body(static_cast<std::size_t>(facts.st_size), '\0');
  body.resize(read_full(file.fd(), std::as_writable_bytes(std::span{body}), name));
  return body;
}

}  // namespace

ErrorPages::ErrorPages(const SiteSettings& settings, const MimeTypes& types)
    : symlinks_{settings.symlinks} {
  for (const std::string& header : settings.headers) headers_.append(header).append("\r\n");
  if (settings.root.empty() || settings.redirect) return;
  for (const auto& [status, name] : settings.error_pages)
    files_.emplace(static_cast<Status>(status), File{name, std::string{types.of(name)}});
  if (files_.empty()) return;
  root_ = UniqueFd{::open(settings.root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  if (!root_.valid()) throw_errno("open", settings.root);
}

PagePtr ErrorPages::make(Status status, std::string_view fields) const {
  const std::string all = headers_ + std::string{fields};
  const auto file = files_.find(status);
  if (file == files_.end()) return make_error_page(status, all);
  auto body = try_to_read(root_.fd(), file->second.name, symlinks_);
  if (!body) return make_error_page(status, all);
  std::string type{"Content-Type: "};
  type.append(file->second.content_type).append("\r\n");
  return make_page(status, type + all, std::move(*body));
}

}  // namespace procpool::http
