#include "tools/ftp/names.hpp"

#include <algorithm>

namespace procpool::ftp_client {
namespace {

constexpr std::size_t kLongestName = 255;  // NAME_MAX of Linux's file systems

bool is_control(char c) noexcept {
  return static_cast<unsigned char>(c) < ' ' || c == '\x7f';
}

}  // namespace

bool is_safe_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= kLongestName && name != "." && name != ".." &&
         name.find('/') == name.npos && std::ranges::none_of(name, is_control);
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool c1 = text[i] == '\xc2' && i + 1 < text.size() &&
                    (static_cast<unsigned char>(text[i + 1]) & 0xe0U) == 0x80;
    if (c1) ++i;
    out.push_back(c1 || is_control(text[i]) ? '?' : text[i]);
  }
  return out;
}

bool fits_a_line(std::string_view text) noexcept {
  return std::ranges::none_of(text, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

std::string joined(std::string_view folder, std::string_view name) {
  std::string path{folder};
  if (!path.empty() && !path.ends_with('/')) path.push_back('/');
  return path.append(name);
}

}  // namespace procpool::ftp_client
