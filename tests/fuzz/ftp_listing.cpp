// Whatever a server lists: entries have names, no more of them than lines, and are shown on one
// line.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/fuzz/check.hpp"
#include "tools/ftp/listing.hpp"
#include "tools/ftp/names.hpp"

namespace procpool::ftp_client {
namespace {

using fuzz::check;

constexpr std::time_t kNow = 1'795'300'000;

void try_as(Format format, std::string_view text) {
  const auto entries = parse_listing(text, format, kNow);
  check(std::ssize(entries) <= std::count(text.begin(), text.end(), '\n') + 1,
        "a line is one entry at most");
  for (const Entry& entry : entries) {
    check(!entry.name.empty() && entry.name != "." && entry.name != "..", "an entry has a name");
    check(text.find(entry.name) != text.npos, "its name is in the text");
    check(entry.name.find('\n') == entry.name.npos, "its name is in one line");
    if (is_safe_name(entry.name))
      check(entry.name.find('/') == entry.name.npos, "a safe name stays in its directory");
    const std::string line = line_of(entry);
    check(std::ranges::none_of(line, [](char c) { return static_cast<unsigned char>(c) < ' '; }),
          "what is shown obeys nobody");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  try_as(Format::mlsd, text);
  try_as(Format::list, text);
  return 0;
}

}  // namespace procpool::ftp_client
