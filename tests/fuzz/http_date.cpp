// What is read as a date can be written and is then read as the same.
#include "servers/http/http_date.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/fuzz/check.hpp"

namespace procpool::http {

using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::time_t kNow = 1'700'000'000;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto time = parse_http_date(text, kNow);
  if (!time) return 0;
  const HttpDate written = format_http_date(*time);
  const auto again = parse_http_date({written.data(), written.size()}, kNow);
  check(again.has_value(), "a written date is a date");
  constexpr std::time_t kLast = 253'402'300'799;  // the leap second behind it is written as it
  check(*again == (*time > kLast ? kLast : *time), "it is the same date");
  return 0;
}

}  // namespace procpool::http
