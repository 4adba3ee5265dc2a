// Whatever the conditions say: without a change 304 is only for who reads, and a failed one is not
// made good by adding others that are looked at later.
//
// The input is lines of `name: value`.
#include "servers/http/conditions.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/fuzz/check.hpp"

namespace procpool::http {

using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text{reinterpret_cast<const char*>(data), size};
  Request request;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
    const auto colon = line.find(": ");
    if (colon == line.npos || !request.fields.add({line.substr(0, colon), line.substr(colon + 2)}))
      break;
  }
  constexpr std::time_t kModified = 784'111'777;
  const Validators current{.etag = "\"a\"", .last_modified = kModified};
  request.method = Method::get;
  const Verdict reading = judge_conditions(request, current, kModified + 1);
  request.method = Method::put;
  const Verdict writing = judge_conditions(request, current, kModified + 1);
  check(writing != Verdict::not_modified, "304 is for who reads");
  check(reading != Verdict::precondition_failed || writing == reading, "If-Match is for all");

  const bool applies = range_applies(request, current, kModified + 1);
  check(applies || request.field("if-range"), "a Range without condition counts");
  check(!applies || range_applies(request, current, kModified + 2), "what is strong stays strong");
  check(!request.field("if-range") ||
            !range_applies(request, {.etag = "W/\"a\"", .last_modified = {}}, kModified + 1),
        "a weak tag is no ground for a part");
  return 0;
}

}  // namespace procpool::http
