// Whatever the patterns and the path are: what is found fits, leads there again, and is found if a
// pattern is the path itself.
//
// Each line of the input is a pattern, but for the last: the path.
#include "servers/http/router.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/base/error.hpp"
#include "servers/http/target.hpp"
#include "tests/fuzz/check.hpp"

namespace procpool::http {
namespace {

using fuzz::check;

// The pattern with the values in the place of its parameters: a path that must lead to it.
std::string path_of(std::string_view pattern, const Router::Route& route) {
  std::string path;
  std::size_t next = 0;
  while (!pattern.empty()) {
    pattern.remove_prefix(1);
    const std::string_view segment = pattern.substr(0, pattern.find('/'));
    pattern.remove_prefix(segment.size());
    path.push_back('/');
    if (segment.size() > 1 && segment.front() == '{' && segment.back() == '}') {
      check(next < route.parameters.size(), "each parameter has its value");
      const auto& [name, value] = route.parameters[next++];
      check(name == segment.substr(1, segment.size() - 2), "the values are in order");
      for (const char c : value) {
        if (c == '/') {
          path.append("%2F");
        } else {
          append_percent_encoded({&c, 1}, path);
        }
      }
    } else {
      append_percent_encoded(segment, path);
    }
  }
  check(next == route.parameters.size(), "each value has its parameter");
  return path;
}

void check_found(const Router& router, std::string_view pattern, const Router::Route& route) {
  for (const auto& [name, value] : route.parameters) {
    check(!value.empty() && value != "." && value != "..", "no value is a way up");
    check(value.find('\0') == value.npos, "no value has a NUL");
  }
  const Router::Route again = router.find(Method::get, path_of(pattern, route));
  check(again.status == Status::ok && again.target == route.target, "it leads there again");
  check(again.parameters == route.parameters, "with the same values");
  check(router.find(Method::head, path_of(pattern, route)).target == route.target, "HEAD as GET");
  check(router.find(Method::put, path_of(pattern, route)).status == Status::method_not_allowed,
        "PUT is another method");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text{reinterpret_cast<const char*>(data), size};
  Router router;
  std::vector<std::string_view> patterns;
  constexpr std::size_t kMostPatterns = 30;
  for (auto end = text.find('\n'); end != text.npos && patterns.size() < kMostPatterns;
       end = text.find('\n')) {
    const std::string_view pattern = text.substr(0, end);
    text.remove_prefix(end + 1);
    try {
      router.add(Method::get, pattern, patterns.size());
      patterns.push_back(pattern);
    } catch (const Error& refused) {
      check(!std::string_view{refused.what()}.empty(), "there is a reason");
    }
  }
  if (!text.starts_with('/')) return 0;  // a path does, and HeadParser sees to it
  const Router::Route route = router.find(Method::get, text);
  if (route.status == Status::ok) return check_found(router, patterns.at(route.target), route), 0;
  check(route.status == Status::bad_request || route.status == Status::not_found,
        "GET is allowed everywhere");
  for (const std::string_view pattern : patterns)
    check(pattern != text || text.find('%') != text.npos || text.find('\0') != text.npos,
          "a pattern fits itself");
  return 0;
}

}  // namespace procpool::http
