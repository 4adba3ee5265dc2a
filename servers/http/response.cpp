#include "servers/http/response.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/http/detail/grammar.hpp"
#include "servers/http/error_page.hpp"
#include "servers/http/etag.hpp"
#include "servers/http/mime_types.hpp"

namespace procpool::http {
namespace {

constexpr std::string_view kHtml = "text/html; charset=utf-8";

// What the server says itself, because it alone knows.
constexpr std::string_view kOfTheServer[] = {"connection", "content-length",    "content-range",
                                             "date",       "keep-alive",        "server",
                                             "trailer",    "transfer-encoding", "upgrade"};

void append_checked(std::string_view name, std::string_view value, std::string& out) {
  const auto is_it = [&](std::string_view other) { return equals_ignoring_case(name, other); };
  if (name.empty() || !consists_of(name, kToken)) throw Error{"field", name, "is no token"};
  if (std::any_of(std::begin(kOfTheServer), std::end(kOfTheServer), is_it))
    throw Error{"field", name, "is left to the server"};
  if (std::any_of(value.begin(), value.end(), [](char c) { return is_control(c) && c != '\t'; }))
    throw Error{"field", name, "has control characters in its value"};
  out.append(name).append(": ").append(value).append("\r\n");
}

std::string content_type(std::string_view type) {
  std::string field;
  if (!type.empty()) append_checked("Content-Type", type, field);
  return field;
}

net::Generator<std::string> texts_of(net::Generator<Event> events) {
  while (const auto event = co_await events.next()) {
    std::string text;
    append_event(*event, text);
    co_yield std::move(text);
  }
}

}  // namespace

Response::Response(Status status, std::string_view type, std::string body)
    : status_{status}, fields_{content_type(type)}, body_{std::move(body)} {}

Response::Response(std::string_view type, BodySource source)
    : fields_{content_type(type)}, body_{std::move(source)} {}

Response::Response(Representation what, UniqueFd file, std::uint64_t size)
    : body_{File{std::move(what), std::move(file), size}} {}

Response Response::with(std::string_view name, std::string_view value) && {
  append_checked(name, value, fields_);
  return std::move(*this);
}

PagePtr Response::page(std::shared_ptr<const void> owner) && {
  if (auto* const text = std::get_if<std::string>(&body_))
    return make_page(status_, fields_, std::move(*text));
  if (auto* const file = std::get_if<File>(&body_)) {
    file->what.other_fields = std::move(fields_);
    return make_page(std::move(file->what), std::move(file->fd), file->size);
  }
  BodySource& source = std::get<BodySource>(body_);
  source.owner = std::move(owner);
  return make_streamed_page(status_, fields_, std::move(source));
}

Response text(std::string body, Status status) {
  return {status, "text/plain; charset=utf-8", std::move(body)};
}

Response html(std::string body, Status status) {
  return {status, kHtml, std::move(body)};
}

Response json(std::string body, Status status) {
  return {status, "application/json", std::move(body)};
}

Response error(Status status, std::string_view detail) {
  std::string body;
  append_error_page(status, body, detail);
  return html(std::move(body), status);
}

Response no_content() {
  return {Status::no_content, {}, {}};
}

Response redirect(std::string_view location, Status status) {
  return error(status).with("Location", location);
}

Response file(const std::string& path, std::string_view type) {
  static const MimeTypes types = MimeTypes::built_in();
  UniqueFd fd{retry_eintr(
      [&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); })};
  if (!fd.valid()) {
    if (errno == ENOENT || errno == ENOTDIR) return error(Status::not_found);
    throw_errno("open", path);
  }
  struct stat facts{};
  if (::fstat(fd.fd(), &facts) < 0) throw_errno("fstat", path);
  if (!S_ISREG(facts.st_mode)) throw Error{"open", path, "is no regular file"};
  Representation what{.content_type = std::string{type.empty() ? types.of(path) : type},
                      .etag = {},
                      .last_modified = facts.st_mtim.tv_sec};
  append_etag(facts, what.etag);
  return {std::move(what), std::move(fd), static_cast<std::uint64_t>(facts.st_size)};
}

Response stream(std::string_view content_type, net::Generator<std::string> pieces) {
  return {content_type, BodySource{.pieces = std::move(pieces)}};
}

Response events(net::Generator<Event> source, std::chrono::milliseconds silence) {
  BodySource body{.pieces = texts_of(std::move(source)), .filler = ":\n\n", .silence = silence};
  return Response{"text/event-stream", std::move(body)}.with("Cache-Control", "no-cache");
}

}  // namespace procpool::http
