// The pages that a site has for errors.
//
//   const ErrorPages pages{settings, types};
//   PagePtr page = pages.make(Status::not_found);        // settings.error_pages.at(404), or plain
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "ipc/base/unique_fd.hpp"
#include "servers/http/mime_types.hpp"
#include "servers/http/page.hpp"
#include "servers/http/site_settings.hpp"
#include "servers/http/status.hpp"

namespace procpool::http {

// Files beneath the root, read anew each time: errors are rare. For one process and one thread.
class ErrorPages {
 public:
  ErrorPages() = default;                                            // all are plain
  ErrorPages(const SiteSettings& settings, const MimeTypes& types);  // throws Error

  // With the site's own fields, `fields` (complete lines), and the text of the site, if it has one
  // of at most 1 MiB that can be read now.
  PagePtr make(Status status, std::string_view fields = {}) const;

 private:
  struct File {
    std::string name;
    std::string content_type;
  };

  std::string headers_;
  std::map<Status, File> files_;
  UniqueFd root_;
  bool symlinks_ = true;
};

}  // namespace procpool::http
