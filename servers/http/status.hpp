// The status codes that the server answers with, and their names.
//
//   reason_phrase(Status::not_found);           // "Not Found"
//   static_cast<int>(Status::not_found);        // 404
#pragma once

#include <string_view>

namespace procpool::http {

// RFC 9110 §15; 431 is RFC 6585 §5.
enum class Status : int {
  continue_ = 100,
  ok = 200,
  created = 201,
  no_content = 204,
  partial_content = 206,
  moved_permanently = 301,
  found = 302,
  see_other = 303,
  not_modified = 304,
  temporary_redirect = 307,
  permanent_redirect = 308,
  bad_request = 400,
  unauthorized = 401,
  forbidden = 403,
  not_found = 404,
  method_not_allowed = 405,
  request_timeout = 408,
  conflict = 409,
  precondition_failed = 412,
  content_too_large = 413,
  uri_too_long = 414,
  unsupported_media_type = 415,
  range_not_satisfiable = 416,
  expectation_failed = 417,
  too_many_requests = 429,
  request_header_fields_too_large = 431,
  internal_server_error = 500,
  not_implemented = 501,
  bad_gateway = 502,
  service_unavailable = 503,
  gateway_timeout = 504,
  http_version_not_supported = 505,
  insufficient_storage = 507,
};

// The phrase that RFC 9110 §15 gives a code; "Unknown" for a number that is none of the above.
std::string_view reason_phrase(Status status) noexcept;

}  // namespace procpool::http
