#include "servers/http/etag.hpp"

#include <array>
#include <charconv>
#include <cstdint>

namespace procpool::http {
namespace {

void append_hex(std::uint64_t value, std::string& out) {
  std::array<char, 16> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, 16).ptr;
  out.append(digits.data(), end);
}

}  // namespace

void append_etag(const struct stat& file, std::string& out) {
  constexpr std::uint64_t kNanoseconds = 1'000'000'000;
  out.push_back('"');
  append_hex(file.st_ino, out);
  out.push_back('-');
  append_hex(static_cast<std::uint64_t>(file.st_size), out);
  out.push_back('-');
  append_hex(static_cast<std::uint64_t>(file.st_mtim.tv_sec) * kNanoseconds +
                 static_cast<std::uint64_t>(file.st_mtim.tv_nsec),
             out);
  out.push_back('"');
}

std::string gzip_etag(std::string_view etag) {
  etag.remove_suffix(1);
  return std::string{etag}.append("-gzip\"");
}

}  // namespace procpool::http
