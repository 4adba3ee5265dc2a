#include "servers/http/page.hpp"

#include <utility>

#include "servers/http/error_page.hpp"

namespace procpool::http {
namespace {

// RFC 9110 §8.6: neither 1xx nor 204 may have a Content-Length.
bool may_have_length(Status status) noexcept {
  return static_cast<int>(status) >= 200 && status != Status::no_content;
}

std::string make_head(Status status, std::string_view fields, std::uint64_t size) {
  std::string head{"HTTP/1.1 "};
  head.append(std::to_string(static_cast<int>(status))).append(" ").append(reason_phrase(status));
  head.append("\r\nServer: procpool\r\n").append(fields);
  if (may_have_length(status))
    head.append("Content-Length: ").append(std::to_string(size)).append("\r\n");
  return head;
}

}  // namespace

PagePtr make_page(Status status, std::string_view fields, std::string body) {
  const std::uint64_t size = body.size();
  return std::make_shared<Page>(Page{.status = status,
                                     .head = make_head(status, fields, size),
                                     .body = std::move(body),
                                     .file = nullptr,
                                     .size = size});
}

PagePtr make_file_page(std::string_view fields, UniqueFd file, std::uint64_t size) {
  return std::make_shared<Page>(Page{.status = Status::ok,
                                     .head = make_head(Status::ok, fields, size),
                                     .body = {},
                                     .file = std::make_shared<UniqueFd>(std::move(file)),
                                     .size = size});
}

PagePtr make_error_page(Status status, std::string_view fields, std::string_view detail) {
  std::string body;
  append_error_page(status, body, detail);
  return make_page(status, std::string{"Content-Type: text/html; charset=utf-8\r\n"}.append(fields),
                   std::move(body));
}

void append_answer(const Page& page, const Request& request, Persistence persistence,
                   const ClockText& clock, std::string& out) {
  out.append(page.head).append("Date: ").append(clock.http_date());
  if (persistence == Persistence::close) {
    out.append("\r\nConnection: close");
  } else if (request.minor_version == 0) {
    out.append("\r\nConnection: keep-alive");
  }
  out.append("\r\n\r\n");
  if (request.method != Method::head) out.append(page.body);
}

}  // namespace procpool::http
