// A head means the same however it arrives, and what is taken for complete keeps its promises.
#include "servers/http/head_parser.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/fuzz/check.hpp"

namespace procpool::http {

using fuzz::check;

namespace {

void check_complete(const HeadParser::Result& head, const Request& request,
                    std::string_view input) {
  check(head.size > 0 && head.size <= input.size(), "a head lies within its input");
  check(input.substr(0, head.size).ends_with("\r\n\r\n"), "a head ends in an empty line");
  check(request.method != Method::unknown, "an accepted method is known");
  const bool no_path = request.target_form == TargetForm::asterisk;
  check(no_path ? request.path.empty() : request.path.starts_with('/'),
        "a path begins with a slash");
  check(request.minor_version == 1 || request.body_framing != BodyFraming::chunked,
        "1.0 has no chunks");
  check(!request.expect_continue || request.minor_version == 1, "1.0 has no 100");
  for (const Field& field : request.fields) {
    check(!field.name.empty() && field.name.find_first_of(" \t\r\n:") == field.name.npos,
          "names are tokens");
    check(field.value.find_first_of(std::string_view{"\r\n\0", 3}) == field.value.npos,
          "values are lines");
  }
}

bool same(const Request& left, const Request& right) {
  return left.line == right.line && left.path == right.path && left.query == right.query &&
         left.host == right.host && left.method == right.method &&
         left.fields.size() == right.fields.size() && left.body_framing == right.body_framing &&
         left.content_length == right.content_length && left.keep_alive == right.keep_alive;
}

}  // namespace

// The first byte says how large the pieces are in which the rest arrives.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = std::size_t{1} + data[0] % 64;
  const std::string_view input{reinterpret_cast<const char*>(data) + 1, size - 1};

  Request whole_request;
  const auto whole = HeadParser{}.parse(input, whole_request);
  if (whole.state == HeadParser::State::complete) check_complete(whole, whole_request, input);

  HeadParser parser;
  Request request;
  HeadParser::Result grown{.state = HeadParser::State::incomplete};
  std::string memory;
  for (std::size_t end = 0; grown.state == HeadParser::State::incomplete && end < input.size();) {
    end = std::min(end + piece, input.size());
    memory = std::string{input.substr(0, end)};
    grown = parser.parse(memory, request);
  }
  check(grown.state == whole.state, "pieces make no difference");
  if (whole.state == HeadParser::State::complete) {
    check(grown.size == whole.size && same(request, whole_request),
          "pieces change nothing in a request");
  }
  return 0;
}

}  // namespace procpool::http
