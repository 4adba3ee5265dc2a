// What clients may change of the files beneath a directory: PUT, DELETE and MKCOL.
//
//   FileStore store{settings, worker.loop()};
//   Reception reception = store.receive(request);        // 201, 204, 404, 409, 412 ...
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ipc/base/loop.hpp"
#include "ipc/base/unique_fd.hpp"
#include "servers/http/basic_authentication.hpp"
#include "servers/http/page.hpp"
#include "servers/http/request.hpp"
#include "servers/http/responder.hpp"
#include "servers/http/site_settings.hpp"

namespace procpool::http {

// PUT writes a file without a name (O_TMPFILE) beside the place where it belongs, and gives it its
// name when its body has come in full: readers see the old content or the new one, and a client or
// a server that dies leaves nothing. Where the file system has no such files, it has a name that is
// never served or listed (kUnfinished), and what a killed server left there is taken over by the
// next. 201 when it was not there, 204 when it was replaced. There must be a directory for it
// (409).
//
// DELETE removes a file, or a directory with all that is in it (RFC 4918 §9.6): out of sight by one
// rename, and then piece by piece, while others are served; if something in it cannot be removed,
// what is left of it comes back. MKCOL makes a directory (§9.3). The root itself stays.
//
// Conditions are judged against what is there, when the request begins, and for PUT again when the
// change is made; the tag of a compressed answer (gzip_etag) stands for the file that it was made
// of. Symbolic links are not followed to what changes: the link itself is replaced or removed.
// Names that the settings hide cannot be changed either.
//
// For one process and one thread. The loop must outlive it.
class FileStore {
 public:
  FileStore(const SiteSettings& settings, Loop& loop);  // throws Error

  // Of any method but GET and HEAD. Throws Error.
  Reception receive(const Request& request);

 private:
  struct Place;
  class Upload;
  class Removal;

  Reception put(const Request& request);
  Reception remove(const Request& request);
  PagePtr make_collection(const Request& request);
  Place find(const Request& request);

  bool dot_files_;
  bool symlinks_;
  UniqueFd root_;
  std::optional<Guard> guard_;
  Loop& loop_;
  std::uint64_t removals_ = 0;
};

}  // namespace procpool::http
