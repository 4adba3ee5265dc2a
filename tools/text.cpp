#include "tools/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace procpool::demo {

std::string fixed(double value, int decimals) {
  std::array<char, 400> digits;  // the largest double has 309 before its point
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value,
                                 std::chars_format::fixed, decimals);
  return {digits.data(), end.ptr};
}

std::string with_prefix(double value) {
  constexpr std::array<std::string_view, 4> kPrefixes{"", " k", " M", " G"};
  std::size_t prefix = 0;
  while (value >= 999.5 && prefix + 1 < kPrefixes.size()) {
    value /= 1000;
    ++prefix;
  }
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fixed(value, decimals) + std::string{kPrefixes[prefix]};
}

std::string size_text(std::uint64_t bytes) {
  constexpr std::uint64_t kKiB = 1024;
  constexpr std::uint64_t kMiB = kKiB * kKiB;
  if (bytes >= kMiB && bytes % kMiB == 0) return text(bytes / kMiB, " MiB");
  if (bytes >= kKiB && bytes % kKiB == 0) return text(bytes / kKiB, " KiB");
  return text(bytes, " B");
}

std::string wrapped(std::string_view words, std::size_t indent, std::size_t width) {
  std::string lines;
  while (!words.empty()) {
    const std::size_t room = width - indent;
    std::size_t length = words.size();
    if (length > room) {
      const std::size_t space = words.rfind(' ', room);
      length = space == std::string_view::npos ? room : space;
    }
    lines.append(indent, ' ').append(words.substr(0, length)).append("\n");
    words.remove_prefix(std::min(words.size(), length + 1));
  }
  return lines;
}

}  // namespace procpool::demo
