#include "proc/detail/environment.hpp"

#include <charconv>
#include <cstdlib>

#include "ipc/base/error.hpp"

namespace procpool::proc::detail {

std::optional<std::string> take_variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  std::string text = value;
  ::unsetenv(name);
  return text.empty() ? std::nullopt : std::optional{std::move(text)};
}

std::uint64_t whole_number(const char* name, const std::string& text, std::uint64_t most) {
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc{} || parsed.ptr != end || number > most) {
    throw Error{name, text, "is no number from 0 to " + std::to_string(most)};
  }
  return number;
}

}  // namespace procpool::proc::detail
