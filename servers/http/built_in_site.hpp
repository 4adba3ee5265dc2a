// The site that is served when nobody has said what to serve: it explains itself, and shows its
// processes.
//
//   Site site = make_built_in_site(worker.board());
//   PagePtr page = site(request);          // "/", "/status", "/status.json"; anything else is 404
#pragma once

#include "proc/scoreboard.hpp"
#include "servers/http/page.hpp"

namespace procpool::http {

// "/": what is running here and what to try next. "/status": the master, its workers and what each
// is doing now, for people (it refreshes itself). "/status.json": the same for programs. The board
// must outlive the site; it is read anew for each request.
Site make_built_in_site(const proc::Scoreboard& board);

}  // namespace procpool::http
