// Times as HTTP writes them (RFC 9110 §5.6.7).
//
//   HttpDate text = format_http_date(now);             // "Sun, 06 Nov 1994 08:49:37 GMT"
//   out.append(text.data(), text.size());
//   if (auto since = parse_http_date(value, now)) ...  // all three formats
#pragma once

#include <array>
#include <ctime>
#include <optional>
#include <string_view>

namespace procpool::http {

using HttpDate = std::array<char, 29>;

// IMF-fixdate of seconds since 1970, in UTC. Needs no locale and no lock. Times outside the years 0
// to 9999 are shown as the nearest one inside.
HttpDate format_http_date(std::time_t time) noexcept;

// IMF-fixdate, rfc850-date or asctime-date; case-sensitive; nullopt for anything else, also for the
// 30th of February. The name of the day must be a day's, but not the right one. A two-digit year
// that would lie more than 50 years after `now` is one of the past. A leap second (:60) is the
// second after :59.
std::optional<std::time_t> parse_http_date(std::string_view text, std::time_t now) noexcept;

}  // namespace procpool::http
