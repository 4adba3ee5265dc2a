// What arguments are made of.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "servers/ftp/command.hpp"

namespace procpool::ftp::detail {

template <typename Number = std::uint64_t>
std::optional<Number> number(std::string_view text, int base = 10) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The first word in upper case, and the rest behind its space.
inline std::pair<std::string, std::string> split(std::string_view text) {
  Command command = parse_command(text);
  return {std::move(command.verb), std::move(command.argument)};
}
inline std::string upper(std::string_view text) {
  return split(text).first;
}

}  // namespace procpool::ftp::detail
