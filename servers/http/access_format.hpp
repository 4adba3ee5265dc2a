// The line that an access log has for a request, in one of several formats.
//
//   append_access_line(AccessFormat::combined, {.client = "127.0.0.1", .time = clock.log_time(),
//                      .request_line = "GET / HTTP/1.1", .bytes = 1024}, out);
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "servers/http/status.hpp"

namespace procpool::http {

enum class AccessFormat { common, combined, json };

inline constexpr std::array kAccessFormats{AccessFormat::common, AccessFormat::combined,
                                           AccessFormat::json};

constexpr std::string_view name_of(AccessFormat format) noexcept {
  constexpr std::array<std::string_view, kAccessFormats.size()> kNames{"common", "combined",
                                                                       "json"};
  return kNames[static_cast<std::size_t>(format)];
}

// The status of a request whose client left before the head of its answer was sent. nginx has made
// it known by this number; it is never sent.
inline constexpr Status kClientClosedRequest{499};

// One request that is over. Views.
struct AccessRecord {
  std::string_view client = {};        // its address
  std::string_view time = {};          // as ClockText::log_time() has it
  std::string_view request_line = {};  // raw
  Status status = Status::ok;
  std::uint64_t bytes = 0;  // of the body, that were sent
  std::string_view referer = {};
  std::string_view user_agent = {};
  std::chrono::microseconds duration{0};  // from the request's first byte to the answer's last
  pid_t worker = 0;
};

// Appends a line, with the newline. Allocates only while `out` grows.
//
// common and combined are as Apache's and nginx's logs have them; common ends behind the bytes:
//   127.0.0.1 - - [06/Nov/1994:09:49:37 +0100] "GET / HTTP/1.1" 200 1024 "-" "curl/7.88.1"
// What came from the client is escaped: control bytes, '"', '\' and bytes from 0x7f on as \xHH. So
// no client can forge a line or send an escape sequence to a terminal.
//
// json is an object (RFC 8259) in one line; what is not known is null:
//   {"time":"1994-11-06T09:49:37+01:00","client":"127.0.0.1","method":"GET","target":"/",
//    "protocol":"HTTP/1.1","status":200,"bytes":1024,"referer":null,"user_agent":"curl/7.88.1",
//    "duration_us":85,"worker":4712}
// It is always UTF-8: a byte that belongs to none, and what would control a terminal beyond ASCII
// (U+0080 to U+009F), becomes U+FFFD. Of a request line without two spaces all is the target.
void append_access_line(AccessFormat format, const AccessRecord& record, std::string& out);

}  // namespace procpool::http
