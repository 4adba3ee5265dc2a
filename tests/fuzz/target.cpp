// No path, however it is written, leaves the root; and what is resolved can be written and resolved
// again.
#include "servers/http/target.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/fuzz/check.hpp"

namespace procpool::http {

using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view path{reinterpret_cast<const char*>(data), size};
  std::string relative;
  const auto target = resolve_target(path, relative);
  check(target.status == Status::ok || target.status == Status::bad_request ||
            target.status == Status::not_found,
        "a path is found, bad or nowhere");
  if (target.status != Status::ok) return 0;

  check(!relative.empty() && relative.find('\0') == relative.npos, "a path is a C string");
  if (relative != ".") {
    const std::string framed = "/" + relative + "/";
    for (const std::string_view never : {"//", "/./", "/../"}) {
      check(framed.find(never) == framed.npos, "no segment is empty or made of dots");
    }
  }

  std::string encoded = "/";
  append_percent_encoded(relative, encoded);
  std::string again;
  check(resolve_target(encoded, again).status == Status::ok && again == relative,
        "encoding is undone");
  return 0;
}

}  // namespace procpool::http
