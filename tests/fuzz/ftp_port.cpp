// The arguments of PORT and EPRT: an address that can be written again, or nothing.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "servers/ftp/data_link.hpp"
#include "tests/fuzz/check.hpp"

namespace procpool::ftp {

using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view argument{reinterpret_cast<const char*>(data), size};
  if (const auto address = parse_port(argument)) {
    check(address->host().find(':') == std::string::npos, "PORT is for IPv4");
    check(parse_extended_port("|1|" + address->host() + "|" + std::to_string(address->port()) + "|")
                  ->address->text() == address->text(),
          "PORT and EPRT mean the same");
  }
  if (const auto extended = parse_extended_port(argument)) {
    check(argument.front() == argument.back(), "a delimiter is at both ends");
    check(extended->protocol >= 0 && extended->protocol <= 255, "a protocol is a byte");
    const bool known = extended->protocol == 1 || extended->protocol == 2;
    check(extended->address.has_value() == known, "an address belongs to a known protocol");
    if (known) {
      check((extended->address->host().find(':') != std::string::npos) == (extended->protocol == 2),
            "an address is one of its protocol");
    }
  }
  return 0;
}

}  // namespace procpool::ftp
