// An answer, made once and sent any number of times.
//
//   auto page = make_page(Status::ok, "Content-Type: text/plain\r\n", "hello\n");
//   append_answer(*page, request, Persistence::keep, clock, out);     // a file's body is not in it
//   if (page->file) co_await stream.send_file(page->file->fd(), 0, page->size, patience);
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "ipc/base/unique_fd.hpp"
#include "servers/http/clock_text.hpp"
#include "servers/http/request.hpp"
#include "servers/http/status.hpp"

namespace procpool::http {

// What is the same each time: everything but Date and Connection. Unchanged once it is made, so
// that caches and the answers in flight share it; of one thread.
struct Page {
  Status status = Status::ok;
  std::string head;  // status line and fields, without Date, Connection and the last empty line
  std::string body;  // if it is in memory
  std::shared_ptr<UniqueFd> file;  // or else the file that it is, from its beginning
  std::uint64_t size = 0;          // of the body, in bytes
};

using PagePtr = std::shared_ptr<const Page>;

// Answers a request for a resource (GET and HEAD alike, without a body of its own). Never blocks
// for long; what it throws becomes a 500.
using Site = std::function<PagePtr(const Request&)>;

// `fields` are complete lines, each ended by CRLF. Content-Length is added where the status allows
// a body.
PagePtr make_page(Status status, std::string_view fields, std::string body);
PagePtr make_file_page(std::string_view fields, UniqueFd file, std::uint64_t size);

// The page of an error or a redirection, with a text for people.
PagePtr make_error_page(Status status, std::string_view fields = {}, std::string_view detail = {});

enum class Persistence {
  keep,   // the connection stays open
  close,  // it is closed behind this answer, and the answer says so
};

// Appends the answer to `request`: the head with Date and Connection as its version needs it (RFC
// 9112 §9.3), and the body if it is in memory and the method is not HEAD.
void append_answer(const Page& page, const Request& request, Persistence persistence,
                   const ClockText& clock, std::string& out);

}  // namespace procpool::http
