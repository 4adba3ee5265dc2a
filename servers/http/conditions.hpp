// The conditions of a request against what there is: RFC 9110 §13.
//
//   const Validators current{.etag = "\"5f-1a\"", .last_modified = modified};
//   switch (judge_conditions(request, current, now)) { ... }        // 304, 412, or go on
//   if (request.field("range") && range_applies(request, current, now)) ...
#pragma once

#include <ctime>
#include <optional>
#include <string_view>

#include "servers/http/request.hpp"

namespace procpool::http {

// What tells two versions of one representation apart.
struct Validators {
  std::string_view etag = {};       // with its quotes, and W/ if it is weak; empty: there is none
  std::string_view gzip_etag = {};  // of the same version as it was sent compressed; empty: no such
  std::optional<std::time_t> last_modified = {};
};

enum class Verdict {
  proceed,              // as if there was no condition
  not_modified,         // 304: the client has it
  precondition_failed,  // 412: the client thinks of something else
};

// Judges If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since in the order of
// §13.2.2. `current` is nullopt where there is nothing yet, as before a PUT that creates. Only ask
// when the answer would be a success without them (§13.2.1). Tags are compared strongly for
// If-Match and weakly for If-None-Match; a list that is broken ends where it breaks. A date that is
// none, or is given twice, is ignored. Never allocates.
Verdict judge_conditions(const Request& request, const std::optional<Validators>& current,
                         std::time_t now) noexcept;

// Whether the Range of a GET counts: there is no If-Range, or it names exactly what there is now,
// by a strong tag or by the Last-Modified of a second that has passed (§13.1.5). Otherwise the
// whole is sent.
bool range_applies(const Request& request, const Validators& current, std::time_t now) noexcept;

// Equal and both strong; §8.8.3.2.
bool matches_strongly(std::string_view left, std::string_view right) noexcept;

// Equal but for the mark of weakness.
bool matches_weakly(std::string_view left, std::string_view right) noexcept;

}  // namespace procpool::http
