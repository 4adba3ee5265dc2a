// Whatever Accept-Encoding says: only what is there is chosen, and nothing that was not named.
#include "servers/http/accept_encoding.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/fuzz/check.hpp"

namespace procpool::http {

using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view value{reinterpret_cast<const char*>(data), size};
  Fields fields;
  check(fields.add({"Accept-Encoding", value}), "one field has room");
  check(choose_coding(fields, {}) == Coding::identity, "the content as it is is always there");
  check(choose_coding(fields, {.gzip = true}) != Coding::br, "what is not there is not chosen");
  check(choose_coding(fields, {.br = true}) != Coding::gzip, "what is not there is not chosen");
  if (value.find('*') == value.npos && value.find_first_of("gG") == value.npos)
    check(choose_coding(fields, {.gzip = true}) == Coding::identity, "gzip must be named");
  return 0;
}

}  // namespace procpool::http
