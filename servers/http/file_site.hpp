// The files beneath a directory, as a site.
//
//   Site site = make_file_site({.root = "/srv/www"}, types, worker.loop());
//   PagePtr page = site(request).page;             // 200, 301, 403, 404, 503 ...
#pragma once

#include <cstddef>
#include <string_view>

#include "ipc/base/loop.hpp"
#include "servers/http/mime_types.hpp"
#include "servers/http/page.hpp"
#include "servers/http/site.hpp"
#include "servers/http/site_settings.hpp"

namespace procpool::http {

// Serves regular files; "index.html" for a directory, or if that is missing and wanted its listing;
// without its '/' it is redirected. Files
// are found by the kernel (openat2(2) with RESOLVE_BENEATH, Linux 5.6): no "..", and no symbolic
// link, leads out of the root; what tries to is 403. Devices, sockets and FIFOs are 403 and are
// never waited for.
//
// A file may have several codings: "a.js.br" and "a.js.gz" stand for "a.js" when they are not
// older, and what is text (256 bytes to 1 MiB) is compressed once it is asked for. Each has an
// entity tag of its own.
//
// Answers are cached by path. A cached one is compared with its file when it is a second old, so a
// changed file is served after at most that. What is sent always belongs to the head before it.
// Files up to 32 KiB are kept in memory, of larger ones the descriptor, and what was compressed;
// the least used go when that amounts to 32 MiB. For one process and one thread.
//
// `prefix` is of the paths that come here: what a redirection leaves out. `share` sites of one
// process share the memory and the descriptors of the cache.
//
// Throws Error if the root cannot be opened. The loop tells the time and must outlive the site.
Site make_file_site(const SiteSettings& settings, MimeTypes types, Loop& loop,
                    std::string_view prefix = "/", std::size_t share = 1);

}  // namespace procpool::http
