// Whatever parts are asked for: the answer is read again as RFC 9110 §14.6 has it, each part has
// the bytes that it says, and all of them are those that were asked for. A file's answer has the
// same bytes as one in memory.
//
// The first byte of the input chooses the size of the representation; the rest is the Range.
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/base/unique_fd.hpp"
#include "servers/http/page.hpp"
#include "servers/http/range.hpp"
#include "tests/fuzz/check.hpp"

namespace procpool::http {
namespace {

using fuzz::check;

constexpr std::string_view kBoundaryIs = "Content-Type: multipart/byteranges; boundary=";

std::string content_of(std::size_t size) {
  std::string content(size, '\0');
  for (std::size_t i = 0; i < size; ++i) content[i] = static_cast<char>(i * 7 + i / 256);
  return content;
}

// What follows `name` in a line of its own.
std::string_view line_of(std::string_view head, std::string_view name) {
  const auto at = head.find(name);
  if (at == head.npos) return {};
  head.remove_prefix(at + name.size());
  return head.substr(0, head.find("\r\n"));
}

ByteRange range_of(std::string_view content_range, std::uint64_t whole) {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  const char* const end = content_range.data() + content_range.size();
  const auto dash = std::from_chars(content_range.data(), end, first);
  check(dash.ec == std::errc{} && dash.ptr != end && *dash.ptr == '-', "it has a first byte");
  const auto slash = std::from_chars(dash.ptr + 1, end, last);
  check(slash.ec == std::errc{} && first <= last && last < whole, "it has a last byte");
  check(std::string_view(slash.ptr, end) == "/" + std::to_string(whole), "it has the size");
  return {.first = first, .length = last - first + 1};
}

// The parts as a client reads them; each is compared with the content.
std::vector<ByteRange> parts_of(std::string_view body, std::string_view boundary,
                                std::string_view content) {
  const std::string delimiter = "\r\n--" + std::string{boundary};
  std::vector<ByteRange> parts;
  check(body.starts_with(delimiter), "it begins with the delimiter");
  body.remove_prefix(delimiter.size());
  while (!body.starts_with("--")) {
    const auto end_of_head = body.find("\r\n\r\n");
    check(end_of_head != body.npos, "each part has a head");
    const std::string_view head = body.substr(0, end_of_head + 2);
    check(line_of(head, "\r\nContent-Type: ") == "a/b", "each part says what it is");
    parts.push_back(range_of(line_of(head, "\r\nContent-Range: bytes "), content.size()));
    const ByteRange& part = parts.back();
    body.remove_prefix(end_of_head + 4);
    check(body.starts_with(content.substr(part.first, part.length)), "a part has its bytes");
    body.remove_prefix(part.length);
    check(body.starts_with(delimiter), "a part ends with the delimiter");
    body.remove_prefix(delimiter.size());
  }
  check(body == "--\r\n", "nothing follows");
  return parts;
}

std::string assembled(const Page& page, std::string_view content) {
  std::string body;
  for (const FilePiece& piece : page.pieces)
    body.append(piece.before)
        .append(content.substr(static_cast<std::size_t>(piece.offset), piece.length));
  return body;
}

void check_partial(const Page& page, std::string_view body, std::string_view content,
                   const RangeSet& wanted) {
  check(body.size() == page.size, "the length is that of the body");
  check(line_of(page.head, "\r\nContent-Length: ") == std::to_string(page.size), "and is said");
  const std::string_view boundary = line_of(page.head, kBoundaryIs);
  if (boundary.empty()) {
    const auto range = range_of(line_of(page.head, "\r\nContent-Range: bytes "), content.size());
    check(wanted.ranges == std::vector<ByteRange>{range}, "it is the part that was asked for");
    check(body == content.substr(range.first, range.length), "it has its bytes");
    return;
  }
  check(line_of(page.head, "\r\nContent-Range: ").empty(), "only the parts say where they are");
  check(wanted.ranges.size() > 1, "one part is sent as it is");
  check(parts_of(body, boundary, content) == wanted.ranges, "it has the parts that were asked for");
}

void check_answer(const Page& page, std::string_view body, std::string_view content,
                  const RangeSet& wanted) {
  switch (wanted.kind) {
    case RangeSet::Kind::ignored:
      check(page.status == Status::ok && body == content, "the whole is sent");
      break;
    case RangeSet::Kind::unsatisfiable:
      check(page.status == Status::range_not_satisfiable, "it is 416");
      break;
    case RangeSet::Kind::satisfiable:
      check(page.status == Status::partial_content, "it is 206");
      check_partial(page, body, content, wanted);
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  constexpr std::size_t kSizes[] = {0, 1, 2, 10, 1000};
  const std::string content = content_of(kSizes[data[0] % std::size(kSizes)]);
  const std::string_view range{reinterpret_cast<const char*>(data) + 1, size - 1};
  const RangeSet wanted = parse_range(range, content.size());

  Request request;
  request.method = Method::get;
  check(request.fields.add({"Range", range}), "there is room");
  const Representation what{.content_type = "a/b", .etag = "\"a\""};
  const PagePtr in_memory = select(make_page(what, content), request, 1);
  check_answer(*in_memory, in_memory->body, content, wanted);
  const PagePtr of_file = select(make_page(what, UniqueFd{}, content.size()), request, 1);
  check_answer(*of_file, assembled(*of_file, content), content, wanted);
  return 0;
}

}  // namespace procpool::http
