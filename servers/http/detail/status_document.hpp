// What a scoreboard shows, as a JSON document: the one source of all that the built-in site tells.
//
//   const auto view = proc::view_of(board);
//   const StatusDocument status = make_status_document(view, std::time(nullptr), ::getpid(),
//   meter); status.at("master").at("pid");
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <ctime>
#include <string>

#include <nlohmann/json.hpp>

#include "proc/scoreboard.hpp"
#include "servers/http/detail/cpu_meter.hpp"

namespace procpool::http {

using StatusDocument = nlohmann::ordered_json;  // keys stay in the order of their documentation

// `now` is in seconds since 1970; `answered_by` is the worker that makes the document. The shape is
// documented in built_in_site.hpp.
StatusDocument make_status_document(const proc::ScoreboardView& view, std::time_t now,
                                    pid_t answered_by, CpuMeter& meter);

// How the document calls an octave of latencies: by its upper bound in seconds, as "0.000128", or
// "+Inf".
std::string name_of_octave(std::size_t octave);

}  // namespace procpool::http
