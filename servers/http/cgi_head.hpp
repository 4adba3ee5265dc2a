// The head of what a CGI program writes.
//
//   if (const auto size = cgi_head_size(output)) {
//     CgiHead head = parse_cgi_head(output.substr(0, *size));        // throws Error
//     if (!head.elsewhere.empty()) ... else make_page(head.status, head.fields, ...);
//   }
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "servers/http/status.hpp"

namespace procpool::http {

struct CgiHead {
  Status status = Status::ok;
  std::string fields{};  // complete lines, without those that follow
  std::optional<std::uint64_t> content_length{};
  std::string elsewhere{};  // a local redirection: the path and query of another resource here
};

// With the empty line at its end; nullopt: that has not come yet. Lines end in LF or CRLF (RFC 3875
// §6.2).
std::optional<std::size_t> cgi_head_size(std::string_view output) noexcept;

// RFC 3875 §6.3, strictly: what could be understood in two ways, or would do harm to the answer,
// throws Error, with what is wrong as its reason. There must be a Content-Type, a Location or a
// Status, each once. A Location that begins with '/', and has no Status beside it, is a local
// redirection; another one is 302 unless the Status says otherwise. What says how an answer is
// sent (Connection, Date, Transfer-Encoding ...) is dropped.
CgiHead parse_cgi_head(std::string_view head);

}  // namespace procpool::http
