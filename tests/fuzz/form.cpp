// A form is whatever was sent: fields, no more of them than were separated, and the same again
// after they are written by the rules.
#include "servers/http/form.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "servers/http/target.hpp"
#include "tests/fuzz/check.hpp"

namespace procpool::http {
namespace {

using fuzz::check;

std::string written(const FormFields& fields) {
  std::string text;
  for (const auto& [name, value] : fields) {
    append_percent_encoded(name, text);
    text.push_back('=');
    append_percent_encoded(value, text);
    text.push_back('&');
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const FormFields fields = parse_form(text);
  const auto separators = std::count(text.begin(), text.end(), '&');
  check(std::ssize(fields) <= separators + 1, "a field is what was separated");
  std::size_t length = 0;
  for (const auto& [name, value] : fields) {
    length += name.size() + value.size();
    const auto found = find_field(fields, name);
    check(found.has_value(), "each field is found by its name");
  }
  check(length <= size, "decoding makes nothing longer");
  check(parse_form(written(fields)) == fields, "what is written is read again");
  return 0;
}

}  // namespace procpool::http
