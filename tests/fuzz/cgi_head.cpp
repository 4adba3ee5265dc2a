// Whatever a CGI program writes: its head ends where it is said to, and what is made of it does no
// harm to the answer that it becomes a part of.
#include "servers/http/cgi_head.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "ipc/base/error.hpp"
#include "servers/http/detail/grammar.hpp"
#include "servers/http/request.hpp"
#include "tests/fuzz/check.hpp"

namespace procpool::http {
namespace {

using fuzz::check;

constexpr std::string_view kOfTheServer[] = {"connection", "content-length", "date",
                                             "keep-alive", "status",         "transfer-encoding"};

void check_line(std::string_view line) {
  const auto colon = line.find(": ");
  check(colon != line.npos && colon > 0, "each line is a field");
  const std::string_view name = line.substr(0, colon);
  check(consists_of(name, kToken), "each name is a token");
  check(std::none_of(line.begin(), line.end(), [](char c) { return is_control(c) && c != '\t'; }),
        "no control character is passed on");
  for (const std::string_view other : kOfTheServer)
    check(!equals_ignoring_case(name, other), "how it is sent is not the program's to say");
}

void check_head(const CgiHead& head) {
  const int status = static_cast<int>(head.status);
  check(status >= 200 && status <= 599, "the status is a final one");
  check(head.elsewhere.empty() || head.elsewhere.front() == '/', "elsewhere is on this server");
  check(head.elsewhere.find_first_of("\r\n") == head.elsewhere.npos, "elsewhere is of one line");
  std::string_view rest = head.fields;
  while (!rest.empty()) {
    const auto end = rest.find("\r\n");
    check(end != rest.npos, "each line is complete");
    check_line(rest.substr(0, end));
    rest.remove_prefix(end + 2);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view output{reinterpret_cast<const char*>(data), size};
  const std::optional<std::size_t> length = cgi_head_size(output);
  if (!length) return 0;
  check(*length > 0 && *length <= size && output[*length - 1] == '\n', "it ends with a line");
  check(!cgi_head_size(output.substr(0, *length - 1)), "it is not complete before its end");
  check(cgi_head_size(output.substr(0, *length)) == length, "what follows does not count");
  try {
    check_head(parse_cgi_head(output.substr(0, *length)));
  } catch (const Error& refused) {
    check(!std::string_view{refused.what()}.empty(), "there is a reason");
  }
  return 0;
}

}  // namespace procpool::http
