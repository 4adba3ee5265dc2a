// Whatever Authorization says: it is read or not, and what is read has a name without a colon.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "servers/http/basic_authentication.hpp"
#include "tests/fuzz/check.hpp"

namespace procpool::http {

using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto credentials = parse_basic_credentials({reinterpret_cast<const char*>(data), size});
  if (!credentials) return 0;
  check(credentials->name.find(':') == credentials->name.npos, "the first colon ends the name");
  check((credentials->name + credentials->password).find('\0') == std::string::npos,
        "a password is a C string");
  check(credentials->name.size() + credentials->password.size() < size, "nothing is invented");
  return 0;
}

}  // namespace procpool::http
