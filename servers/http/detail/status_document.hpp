// What a scoreboard shows, as a JSON document: the one source of all that the built-in site tells.
//
//   const auto view = proc::view_of(board);
//   const StatusDocument status = make_status_document(view, std::time(nullptr), ::getpid());
//   status.at("master").at("pid");
#pragma once

#include <sys/types.h>

#include <ctime>

#include <nlohmann/json.hpp>

#include "proc/scoreboard.hpp"

namespace procpool::http {

using StatusDocument = nlohmann::ordered_json;  // keys stay in the order of their documentation

// `now` is in seconds since 1970; `answered_by` is the worker that makes the document. The shape is
// documented in built_in_site.hpp.
StatusDocument make_status_document(const proc::ScoreboardView& view, std::time_t now,
                                    pid_t answered_by);

}  // namespace procpool::http
