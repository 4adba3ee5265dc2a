// What a handler answers.
//
//   return http::text("hi");
//   return http::json(document.dump()).with("Cache-Control", "no-store");
//   return http::error(http::Status::not_found, "There is no such user.");
//   return http::stream("text/csv", rows(loop, 1000));           // a net::Generator<std::string>
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "ipc/base/unique_fd.hpp"
#include "servers/http/event_stream.hpp"
#include "servers/http/page.hpp"
#include "servers/http/status.hpp"
#include "servers/net/generator.hpp"

namespace procpool::http {

// Move only; made by the functions below.
class Response {
 public:
  Response(Status status, std::string_view content_type, std::string body);
  Response(std::string_view content_type, BodySource source);
  Response(Representation what, UniqueFd file, std::uint64_t size);

  // Adds a field. Throws Error: the name is no token, the value has control characters (a line's
  // end would begin another field), or it is one that says how the answer is sent (Content-Length,
  // Transfer-Encoding, Connection, Date ...), which the server says.
  Response with(std::string_view name, std::string_view value) &&;

  // What the protocol sends. The owner, if it has a source, lives as long as that.
  PagePtr page(std::shared_ptr<const void> owner = nullptr) &&;

 private:
  struct File {
    Representation what;
    UniqueFd fd;
    std::uint64_t size;
  };

  Status status_ = Status::ok;
  std::string fields_;
  std::variant<std::string, File, BodySource> body_;
};

Response text(std::string body, Status status = Status::ok);
Response html(std::string body, Status status = Status::ok);
Response json(std::string body, Status status = Status::ok);

// With the server's page for that status, and a sentence for the reader, shown escaped.
Response error(Status status, std::string_view detail = {});

Response no_content();  // 204

// 303 by default: get what is there. Throws Error as with().
Response redirect(std::string_view location, Status status = Status::see_other);

// A regular file, with entity tag and date, so that conditions and ranges work. The path is the
// program's own: whatever a client sent must not be in it. Its type is that of its extension,
// unless one is given. 404 if it is not there; throws Error if it cannot be read.
Response file(const std::string& path, std::string_view content_type = {});

// A body that is made while it is sent: the next piece is asked for when the one before is out, so
// a slow reader costs no memory. The generator is destroyed when the client leaves. An exception
// that leaves it cuts the connection, so that the client sees that something is missing.
Response stream(std::string_view content_type, net::Generator<std::string> pieces);

// Server-Sent Events, until the generator ends, the client leaves, or the worker drains: then the
// client connects again by itself, and its Last-Event-ID says from where to go on. While there is
// no event, a comment is sent every `silence`, for those between that cut what is silent.
Response events(net::Generator<Event> source,
                std::chrono::milliseconds silence = std::chrono::seconds{15});

}  // namespace procpool::http
