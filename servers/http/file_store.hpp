// What clients may change of the files beneath a directory: PUT and DELETE.
//
//   FileStore store{settings};
//   PagePtr page = store.remove(request);        // 204, 404, 409, 412 ...
#pragma once

#include <optional>
#include <string>

#include "ipc/base/unique_fd.hpp"
#include "servers/http/basic_authentication.hpp"
#include "servers/http/page.hpp"
#include "servers/http/request.hpp"
#include "servers/http/responder.hpp"
#include "servers/http/site_settings.hpp"

namespace procpool::http {

// PUT writes a file without a name (O_TMPFILE) beside the place where it belongs, and gives it its
// name when its body has come in full: readers see the old content or the new one, and a client or
// a server that dies leaves nothing. 201 when it was not there, 204 when it was replaced. There
// must be a directory for it (409). DELETE removes files (204); directories are left alone (409).
// Conditions are judged against the file that is there, when the request begins and again when the
// change is made. Symbolic links are not followed to what changes: the link itself is replaced or
// removed. Names that the settings hide cannot be changed either.
//
// For one process and one thread.
class FileStore {
 public:
  explicit FileStore(const SiteSettings& settings);  // throws Error

  Reception put(const Request& request);   // throws Error
  PagePtr remove(const Request& request);  // throws Error

 private:
  struct Place;
  class Upload;

  Place find(const Request& request);

  bool dot_files_;
  bool symlinks_;
  UniqueFd root_;
  std::optional<Guard> guard_;
};

}  // namespace procpool::http
