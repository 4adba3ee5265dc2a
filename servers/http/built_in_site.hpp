// The site that is served when nobody has said what to serve: it explains itself, and shows its
// processes.
//
//   Site site = make_built_in_site(worker.board());
//   PagePtr page = site(request).page;          // also "/status", "/status.json", "/metrics"; else
//   404
#pragma once

#include "proc/scoreboard.hpp"
#include "servers/http/page.hpp"
#include "servers/http/site.hpp"

namespace procpool::http {

// "/": what is running here and what to try next. "/status": the master, its workers and what each
// is doing now, for people. Both keep themselves up to date. "/status.json": the same for programs.
// "/metrics": the numbers of it for Prometheus, each name with "procpool_httpd_" in front, those of
// a worker with its slot and pid as labels. A query is ignored. The board must outlive the site; it
// is read anew for each request, and no cache may keep the answer.
//
// The JSON, in UTF-8 (what else a client sent is replaced by U+FFFD); times are in seconds since
// 1970, null is said of what has not happened:
//
//   {"now_unix": 1700000060,
//    "answered_by": 4712,                 the worker that made this answer
//    "master": {
//      "pid": 4711, "generation": 2, "started_unix": 1700000000, "uptime_seconds": 60,
//      "reloads": 1,                      those that succeeded; and the last one, good or bad:
//      "last_reload_unix": 1700000030, "last_reload_age_seconds": 30,
//      "last_reload_result": "ok",        or why not
//      "restarts": 0,                     of workers that ended unasked
//      "last_death": null,                the last of them, and how it ended
//      "requests": 8, "bytes": 9000},     by all workers, those that are gone included
//    "workers": [{                        those that live, by slot
//      "slot": 0, "pid": 4712, "generation": 2,
//      "state": "ready",                  or "starting", "draining"
//      "busy": true,                      false: it waits for work
//      "started_unix": 1700000031, "uptime_seconds": 29,
//      "connections": 1,                  open now
//      "accepted": 3, "requests": 5, "bytes": 6000,
//      "rss_bytes": 5242880,              resident memory, and CPU time of user and system; null
//      "cpu_seconds": 0.25,               if the worker that answers cannot see it
//      "last_request": "GET / HTTP/1.1",  the one it began last, or null; and for whom
//      "last_client": "127.0.0.1"}]}
Site make_built_in_site(const proc::Scoreboard& board);

}  // namespace procpool::http
