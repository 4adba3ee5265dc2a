#include "servers/http/page.hpp"

#include <sys/random.h>

#include <array>
#include <charconv>
#include <cstddef>
#include <utility>

#include "ipc/base/error.hpp"
#include "servers/http/error_page.hpp"
#include "servers/http/http_date.hpp"
#include "servers/http/range.hpp"

namespace procpool::http {
namespace {

// RFC 9110 §8.6: neither 1xx nor 204 may have a Content-Length; of a 304 it would be the one of
// what is not sent.
bool may_have_length(Status status) noexcept {
  return static_cast<int>(status) >= 200 && status != Status::no_content &&
         status != Status::not_modified;
}

std::string make_head(Status status, std::string_view fields) {
  std::string head{"HTTP/1.1 "};
  head.append(std::to_string(static_cast<int>(status))).append(" ").append(reason_phrase(status));
  return head.append("\r\nServer: procpool\r\n").append(fields);
}

std::string make_head(Status status, std::string_view fields, std::uint64_t size) {
  std::string head = make_head(status, fields);
  if (may_have_length(status))
    head.append("Content-Length: ").append(std::to_string(size)).append("\r\n");
  return head;
}

void append_field(std::string_view name, std::string_view value, std::string& out) {
  out.append(name).append(": ").append(value).append("\r\n");
}

// What tells caches about this and other versions: a 304 has that and no more (RFC 9110 §15.4.5).
std::string fields_for_caches(const Representation& what) {
  std::string fields;
  if (what.last_modified) {
    const HttpDate date = format_http_date(*what.last_modified);
    append_field("Last-Modified", {date.data(), date.size()}, fields);
  }
  if (!what.etag.empty()) append_field("ETag", what.etag, fields);
  return fields.append(what.other_fields);
}

std::string fields_of(const Representation& what, std::string_view content_type) {
  std::string fields;
  append_field("Content-Type", content_type, fields);
  if (!what.content_encoding.empty())
    append_field("Content-Encoding", what.content_encoding, fields);
  return fields.append(fields_for_caches(what));
}

std::string fields_of_whole(const Representation& what) {
  std::string fields = fields_of(what, what.content_type);
  if (what.has_ranges) append_field("Accept-Ranges", "bytes", fields);
  return fields;
}

// A text that is in no content but by intent of the one who guesses 128 bits.
std::string make_boundary() {
  std::array<std::uint64_t, 2> random{};
  if (::getrandom(random.data(), sizeof random, 0) != sizeof random) throw_errno("getrandom");
  std::string boundary;
  for (const std::uint64_t number : random) {
    std::array<char, 16> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, 16).ptr;
    boundary.append(digits.data(), end);
  }
  return boundary;
}

// Gathers the body of a 206: out of the page's file, or out of its memory.
class PartialBody {
 public:
  explicit PartialBody(const Page& whole) : whole_{whole} {}

  void add(std::string before, const ByteRange& range) {
    size_ += before.size() + range.length;
    if (whole_.file) {
      pieces_.push_back({.before = std::move(before),
                         .offset = static_cast<off_t>(range.first),
                         .length = range.length});
    } else {
      body_.append(before).append(whole_.body, range.first, range.length);
    }
  }

  PagePtr finish(std::string_view fields) && {
    return std::make_shared<Page>(Page{.status = Status::partial_content,
                                       .head = make_head(Status::partial_content, fields, size_),
                                       .body = std::move(body_),
                                       .file = whole_.file,
                                       .pieces = std::move(pieces_),
                                       .size = size_});
  }

 private:
  const Page& whole_;
  std::string body_;
  std::vector<FilePiece> pieces_;
  std::uint64_t size_ = 0;
};

std::string content_range(const ByteRange& range, std::uint64_t size) {
  std::string field{"Content-Range: "};
  append_content_range(range, size, field);
  return field.append("\r\n");
}

PagePtr make_single_part(const Page& whole, const ByteRange& range) {
  PartialBody body{whole};
  body.add({}, range);
  const Representation& what = *whole.representation;
  return std::move(body).finish(
      fields_of(what, what.content_type).append(content_range(range, whole.size)));
}

// RFC 9110 §14.6.
PagePtr make_multipart(const Page& whole, const std::vector<ByteRange>& ranges) {
  const std::string boundary = make_boundary();
  const Representation& what = *whole.representation;
  PartialBody body{whole};
  for (const ByteRange& range : ranges) {
    std::string before{"\r\n--"};
    before.append(boundary).append("\r\n");
    append_field("Content-Type", what.content_type, before);
    before.append(content_range(range, whole.size)).append("\r\n");
    body.add(std::move(before), range);
  }
  body.add("\r\n--" + boundary + "--\r\n", {});
  return std::move(body).finish(fields_of(what, "multipart/byteranges; boundary=" + boundary));
}

PagePtr select_range(const PagePtr& page, const Request& request, std::time_t now) {
  const auto range = request.fields.find_only("range");
  if (!range || request.method != Method::get) return page;
  const Representation& what = *page->representation;
  if (!what.has_ranges || !range_applies(request, what.validators(), now)) return page;
  const RangeSet wanted = parse_range(*range, page->size);
  switch (wanted.kind) {
    case RangeSet::Kind::ignored:
      break;
    case RangeSet::Kind::unsatisfiable:
      return make_error_page(
          Status::range_not_satisfiable,
          "Content-Range: bytes */" + std::to_string(page->size) + "\r\n" + what.other_fields);
    case RangeSet::Kind::satisfiable:
      return wanted.ranges.size() == 1 ? make_single_part(*page, wanted.ranges.front())
                                       : make_multipart(*page, wanted.ranges);
  }
  return page;
}

}  // namespace

PagePtr make_page(Status status, std::string_view fields, std::string body) {
  const std::uint64_t size = body.size();
  return std::make_shared<Page>(Page{.status = status,
                                     .head = make_head(status, fields, size),
                                     .body = std::move(body),
                                     .size = size});
}

PagePtr make_page(Representation representation, std::string body) {
  const std::uint64_t size = body.size();
  return std::make_shared<Page>(
      Page{.head = make_head(Status::ok, fields_of_whole(representation), size),
           .body = std::move(body),
           .size = size,
           .representation = std::make_shared<Representation>(std::move(representation))});
}

PagePtr make_page(Representation representation, UniqueFd file, std::uint64_t size) {
  return std::make_shared<Page>(
      Page{.head = make_head(Status::ok, fields_of_whole(representation), size),
           .body = {},
           .file = std::make_shared<UniqueFd>(std::move(file)),
           .pieces = {{.length = size}},
           .size = size,
           .representation = std::make_shared<Representation>(std::move(representation))});
}

PagePtr make_streamed_page(Status status, std::string_view fields, BodySource source) {
  if (!may_have_length(status)) return make_page(status, fields, {});
  std::string head =
      source.length ? make_head(status, fields, *source.length) : make_head(status, fields);
  return std::make_shared<Page>(Page{.status = status,
                                     .head = std::move(head),
                                     .body = {},
                                     .source = std::make_shared<BodySource>(std::move(source))});
}

PagePtr make_error_page(Status status, std::string_view fields, std::string_view detail) {
  std::string body;
  append_error_page(status, body, detail);
  return make_page(status, std::string{"Content-Type: text/html; charset=utf-8\r\n"}.append(fields),
                   std::move(body));
}

PagePtr select(const PagePtr& page, const Request& request, std::time_t now) {
  if (!page->representation) return page;
  const Representation& what = *page->representation;
  switch (judge_conditions(request, what.validators(), now)) {
    case Verdict::not_modified:
      return make_page(Status::not_modified, fields_for_caches(what), {});
    case Verdict::precondition_failed:
      return make_error_page(Status::precondition_failed, what.other_fields);
    case Verdict::proceed:
      break;
  }
  return select_range(page, request, now);
}

void append_answer(const Page& page, const Request& request, Persistence persistence,
                   const ClockText& clock, std::string& out) {
  out.append(page.head).append("Date: ").append(clock.http_date());
  if (persistence == Persistence::close) {
    out.append("\r\nConnection: close");
  } else if (request.minor_version == 0) {
    out.append("\r\nConnection: keep-alive");
  }
  if (page.source && !page.source->length && request.minor_version > 0)
    out.append("\r\nTransfer-Encoding: chunked");
  out.append("\r\n\r\n");
  if (request.method != Method::head) out.append(page.body);
}

}  // namespace procpool::http
