// The site that is served when nobody has said what to serve: it explains itself, and shows its
// processes.
//
//   Site site = make_built_in_site(worker.board(), {});
//   PagePtr page = site(request).page;          // also "/status", "/status.json", "/metrics"; else
//   404
#pragma once

#include <string>

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
//      "last_reload_ok": true, "last_reload_result": "ok",    or false, and why not
//      "restarts": 1,                     of workers that ended unasked; and the last few of them,
//      "last_restarts": [                 the newest first:
//        {"unix": 1700000031, "age_seconds": 29, "pid": 4713, "cause": "killed by SIGSEGV"}],
//      "requests": 8, "bytes": 9000,      by all workers, those that are gone included
//      "latency": {...}},                 of their answers: see below
//    "workers": [{                        those that live, by slot
//      "slot": 0, "pid": 4712, "generation": 2,
//      "state": "ready",                  or "starting", "draining"
//      "busy": true,                      false: it waits for work
//      "started_unix": 1700000031, "uptime_seconds": 29,
//      "connections": 1,                  open now
//      "accepted": 3, "requests": 5, "bytes": 6000,
//      "rss_bytes": 5242880,              resident memory; CPU time of user and system; the part
//      "cpu_seconds": 0.25,               of one CPU of late: since the worker that answers was
//      "cpu_ratio": 0.02,                 last asked, or else since it began. null: it cannot see
//      "latency": {                       from a request's first byte to the last of its answer
//        "count": 5, "sum_seconds": 0.0009,
//        "p50_seconds": 0.0001, "p90_seconds": 0.0003, "p99_seconds": 0.0004,
//        "buckets": {"0.000128": 4,       how many took up to so long, and longer than the half of
//                    "0.000512": 1}},     it; "+Inf": longer than all that have a number
//      "last_request": "GET / HTTP/1.1",  the one it began last, or null; and for whom
//      "last_client": "127.0.0.1"}]}
struct BuiltInSite {
  std::string prefix = {};  // before each path, as "/server"; then there is no "/"
  bool to_all = true;       // false: all but "/" to this machine only, see make_loopback_only
};
Site make_built_in_site(const proc::Scoreboard& board, const BuiltInSite& how);

}  // namespace procpool::http
