#include "servers/http/detail/process_usage.hpp"

#include <unistd.h>

#include <sstream>
#include <string>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::http {
namespace {

// The fields from the third on: the second is a name in brackets, which may itself hold both.
std::string fields_of(pid_t pid) {
  try {
    const std::string text = read_file("/proc/" + std::to_string(pid) + "/stat");
    const auto name_end = text.rfind(')');
    return name_end == text.npos ? std::string{} : text.substr(name_end + 1);
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

std::optional<ProcessUsage> usage_of(pid_t pid) {
  std::istringstream fields{fields_of(pid)};
  const auto skip = [&](int count) {
    std::string field;
    while (count-- > 0) fields >> field;
  };
  std::uint64_t user = 0;
  std::uint64_t system = 0;
  std::uint64_t started = 0;
  std::uint64_t pages = 0;
  skip(11);  // to field 14
  fields >> user >> system;
  skip(6);  // to field 22
  fields >> started;
  skip(1);  // to field 24
  fields >> pages;
  if (!fields) return std::nullopt;
  const auto ticks_per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
  return ProcessUsage{
      .cpu_seconds = static_cast<double>(user + system) / ticks_per_second,
      .started_seconds = static_cast<double>(started) / ticks_per_second,
      .resident_bytes = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))};
}

}  // namespace procpool::http
