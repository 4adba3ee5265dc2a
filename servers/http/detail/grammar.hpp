// Characters as the grammars of HTTP and URIs name them. Locale-free, unlike <cctype>.
//
//   consists_of(text, kToken);
//   if (int value = hex_value(c); value >= 0) ...
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace procpool::http {

constexpr bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}
constexpr bool is_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
constexpr bool is_white(char c) noexcept {
  return c == ' ' || c == '\t';
}
constexpr bool is_control(char c) noexcept {
  return static_cast<unsigned char>(c) < 0x20 || c == '\x7f';
}

constexpr char to_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// 0 to 15, or -1.
constexpr int hex_value(char c) noexcept {
  if (is_digit(c)) return c - '0';
  const char small = to_lower(c);
  return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

using ByteSet = std::array<bool, 256>;

// Letters, digits, and `others`.
constexpr ByteSet alphanumeric_and(std::string_view others) {
  ByteSet set{};
  for (const char c : others) set[static_cast<unsigned char>(c)] = true;
  for (int c = 0; c < 128; ++c) {
    const auto character = static_cast<char>(c);
    if (is_letter(character) || is_digit(character)) set[static_cast<std::size_t>(c)] = true;
  }
  return set;
}

constexpr bool contains(const ByteSet& set, char c) noexcept {
  return set[static_cast<unsigned char>(c)];
}

constexpr bool consists_of(std::string_view text, const ByteSet& set) noexcept {
  return std::all_of(text.begin(), text.end(), [&](char c) { return contains(set, c); });
}

// tchar, RFC 9110 §5.6.2.
inline constexpr ByteSet kToken = alphanumeric_and("!#$%&'*+-.^_`|~");

// RFC 3986 §2.3.
inline constexpr ByteSet kUnreserved = alphanumeric_and("-._~");

// Without the spaces and tabs around it.
constexpr std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && is_white(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_white(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace procpool::http
