// An answer, made once and sent any number of times.
//
//   auto page = make_page(Status::ok, "Content-Type: text/plain\r\n", "hello\n");
//   append_answer(*page, request, Persistence::keep, clock, out);     // a file's body is not in it
//   for (const FilePiece& piece : page->pieces)
//     co_await stream.send_file(page->file->fd(), piece.offset, piece.length, patience);
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/base/unique_fd.hpp"
#include "servers/http/clock_text.hpp"
#include "servers/http/conditions.hpp"
#include "servers/http/request.hpp"
#include "servers/http/status.hpp"
#include "servers/net/generator.hpp"

namespace procpool::http {

// What a successful answer says of its content, kept apart so that a 206 or a 304 can say it again.
struct Representation {
  std::string content_type;
  std::string etag;  // with its quotes; empty: none
  std::optional<std::time_t> last_modified = {};
  std::string content_encoding = {};  // empty: as it is
  std::string other_fields = {};      // complete lines: Cache-Control, Vary ...
  bool has_ranges = true;

  Validators validators() const noexcept { return {.etag = etag, .last_modified = last_modified}; }
};

// A part of a file, and what goes out before it.
struct FilePiece {
  std::string before = {};
  off_t offset = 0;
  std::uint64_t length = 0;
};

// A body that is made while it is sent, once: a piece is asked for when the one before is out.
struct BodySource {
  std::shared_ptr<const void> owner = nullptr;  // of what the pieces need
  net::Generator<std::string> pieces;
  std::optional<std::uint64_t> length = {};  // of all pieces, if it is known

  // With a filler it has no end of its own: that is sent whenever no piece has come for so long,
  // which also finds out clients that are gone, and the end comes when the worker drains.
  std::string filler = {};
  std::chrono::milliseconds silence{0};
};

// What is the same each time: everything but Date and Connection. Unchanged once it is made, so
// that caches and the answers in flight share it; of one thread.
struct Page {
  Status status = Status::ok;
  std::string head;  // status line and fields, without Date, Connection and the last empty line
  std::string body;  // if it is in memory
  std::shared_ptr<UniqueFd> file = nullptr;  // or else the file that `pieces` are of
  std::vector<FilePiece> pieces = {};
  std::shared_ptr<BodySource> source = nullptr;  // or else what makes the body, once
  std::uint64_t size = 0;                        // of the body, in bytes; of a source unknown
  std::string elsewhere = {};  // or else, of a responder, the target here whose answer it is
  std::shared_ptr<const Representation> representation = nullptr;  // of a 200 that has validators
};

using PagePtr = std::shared_ptr<const Page>;

// `fields` are complete lines, each ended by CRLF. Content-Length is added where the status allows
// a body.
PagePtr make_page(Status status, std::string_view fields, std::string body);

// A whole representation, 200.
PagePtr make_page(Representation representation, std::string body);
PagePtr make_page(Representation representation, UniqueFd file, std::uint64_t size);

// Without a known length it is sent in chunks, to 1.0 up to the end of the connection. A status
// that allows no body drops the source.
PagePtr make_streamed_page(Status status, std::string_view fields, BodySource source);

// The page of an error or a redirection, with a text for people.
PagePtr make_error_page(Status status, std::string_view fields = {}, std::string_view detail = {});

// What the conditions and the Range of a GET or HEAD make of the page that would be sent without
// them: the page itself, or 206, 304, 412 or 416. The answer to HEAD has no ranges (RFC 9110
// §14.2). Allocates nothing for a request that has none of these fields.
PagePtr select(const PagePtr& page, const Request& request, std::time_t now);

enum class Persistence {
  keep,   // the connection stays open
  close,  // it is closed behind this answer, and the answer says so
};

// Appends the answer to `request`: the head with Date and Connection as its version needs it (RFC
// 9112 §9.3), and the body if it is in memory and the method is not HEAD. A source's body to 1.0
// ends with the connection, unless its length is known: `persistence` must be close.
void append_answer(const Page& page, const Request& request, Persistence persistence,
                   const ClockText& clock, std::string& out);

}  // namespace procpool::http
