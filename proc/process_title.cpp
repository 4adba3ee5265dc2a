#include "proc/process_title.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace procpool::proc {
namespace {

// Lives as long as the process: what argv and environ point to.
struct Copies {
  std::vector<std::unique_ptr<char[]>> texts;
  std::vector<char*> environment;
};

struct Area {
  std::span<char> bytes;
  std::size_t used = 0;  // not zero since the last title
};
Area area;

char* copy_of(const char* text, Copies& copies) {
  const std::size_t size = std::strlen(text) + 1;
  auto& copy = copies.texts.emplace_back(std::make_unique<char[]>(size));
  std::memcpy(copy.get(), text, size);
  return copy.get();
}

}  // namespace

void prepare_process_title(int argc, char** argv) {
  if (argc == 0 || !area.bytes.empty()) return;
  static Copies& copies = *std::make_unique<Copies>().release();  // never freed: argv is in use
  char* const begin = argv[0];
  char* end = begin;
  // Text behind text, as execve(2) lays them out; what somebody has moved does not count.
  const auto take = [&](char* text) {
    if (text == end) end += std::strlen(text) + 1;
    return copy_of(text, copies);
  };
  for (int i = 0; i < argc; ++i) argv[i] = take(argv[i]);
  for (char** variable = ::environ; variable != nullptr && *variable != nullptr; ++variable)
    copies.environment.push_back(take(*variable));
  copies.environment.push_back(nullptr);
  ::environ = copies.environment.data();
  area = {.bytes = {begin, end}, .used = static_cast<std::size_t>(end - begin)};
}

// The last byte stays zero: the kernel would go on reading behind it.
void set_process_title(std::string_view title) noexcept {
  if (area.bytes.empty()) return;
  const std::size_t length = std::min(title.size(), area.bytes.size() - 1);
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; };
  std::ranges::replace_copy_if(title.substr(0, length), area.bytes.begin(), is_control, '?');
  const auto rest = area.bytes.subspan(length);
  std::ranges::fill(rest.first(std::max(area.used, length) - length), '\0');
  area.used = length;
}

}  // namespace procpool::proc
