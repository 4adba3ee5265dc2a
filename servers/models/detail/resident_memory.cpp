#include "servers/models/detail/resident_memory.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>

namespace procpool::models::detail {

UniqueFd open_statm(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/statm";
  return UniqueFd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
}

std::uint64_t resident_bytes(int statm) noexcept {
  static const auto page_size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::array<char, 128> text{};
  if (::pread(statm, text.data(), text.size() - 1, 0) <= 0) return 0;
  char* rest = nullptr;
  std::strtoull(text.data(), &rest, 10);
  return std::strtoull(rest, nullptr, 10) * page_size;
}

}  // namespace procpool::models::detail
