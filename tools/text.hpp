// Texts made of parts.
//
//   text("read ", 12, " bytes in ", 0.5, " ms")       // "read 12 bytes in 0.5 ms"
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace procpool::demo {

std::string fixed(double value, int decimals);

inline std::string part(std::string_view words) {
  return std::string{words};
}
template <std::integral T>
std::string part(T value) {
  if constexpr (std::same_as<T, bool>) {
    return value ? "yes" : "no";
  } else if constexpr (std::same_as<T, char>) {
    return std::string(1, value);
  } else {
    return std::to_string(value);
  }
}
inline std::string part(double value) {
  return fixed(value, 1);
}

template <typename... Parts>
std::string text(const Parts&... parts) {
  std::string whole;
  (whole.append(part(parts)), ...);
  return whole;
}

// Three digits that matter, and a unit: "1.23 M", "45.6 k", "789".
std::string with_prefix(double value);

// "64 B", "4 KiB", "1 MiB"
std::string size_text(std::uint64_t bytes);

// Words in lines of at most `width` columns, each with an indent in front and a newline behind.
std::string wrapped(std::string_view words, std::size_t indent, std::size_t width);

}  // namespace procpool::demo
