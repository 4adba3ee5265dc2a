// Programs that answer requests, by the Common Gateway Interface, as a site.
//
//   auto runner = std::make_shared<CgiRunner>(worker.loop(), report, CgiLimits{});
//   Site site = make_cgi_site({.cgi = "/usr/lib/cgi-bin"}, "/cgi-bin", runner);
#pragma once

#include <memory>
#include <string_view>

#include "servers/http/cgi_runner.hpp"
#include "servers/http/site.hpp"
#include "servers/http/site_settings.hpp"

namespace procpool::http {

// RFC 3875. The first segments of the path behind `prefix` that lead to a file beneath settings.cgi
// are the program, which must be executable (403); what follows is its PATH_INFO. Nothing outside
// that folder is run, but what links lead to is looked up again when it is executed.
//
// The body of the request is the program's standard input. It comes in full before the program
// starts, so that CONTENT_LENGTH is true for chunked ones too and a slow client costs no process.
// The output is sent as it comes, with the length that the program said or in chunks; HEAD, and
// what has no body, lets it run to its end. A local redirection is answered by what is there.
//
// A program costs its own request at most: 500 when it cannot be started, 502 when it ends without
// a head, or with one that is none (see cgi_head.hpp; up to 32 KiB), 503 when too many run, 504
// when it takes too long; an answer that has begun is cut off, so that the client sees it. When the
// client closes its side of the connection, and in all of these cases, it is killed with its
// process group, and so is at its end whatever it leaves in that group. NPH (RFC 3875 §5) is not
// supported.
//
// Throws Error if the folder cannot be opened. For one process and one thread.
Site make_cgi_site(const SiteSettings& settings, std::string_view prefix,
                   std::shared_ptr<CgiRunner> runner);

}  // namespace procpool::http
