#include "tools/proc_demo/evidence.hpp"

#include <array>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "tools/text.hpp"

namespace procpool::proc_demo {
namespace {

// Empty: there is no such process any more.
std::string read_of(pid_t pid, std::string_view file) {
  try {
    return read_file(demo::text("/proc/", pid, "/", file));
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

std::optional<ProcStat> stat_of(pid_t pid) {
  const std::string line = read_of(pid, "stat");
  const std::size_t open = line.find('(');
  const std::size_t close = line.rfind(')');  // the name may hold anything, brackets too
  if (open == std::string::npos || close == std::string::npos) return std::nullopt;
  ProcStat stat;
  stat.name = line.substr(open + 1, close - open - 1);
  std::istringstream fields{line.substr(close + 1)};
  std::string skipped;
  fields >> stat.state >> stat.ppid >> stat.group >> stat.session >> stat.terminal >>
      stat.foreground_group;
  constexpr int kNice = 19;  // numbers of the fields, proc(5)
  for (int field = 9; field < kNice; ++field) fields >> skipped;
  fields >> stat.nice >> stat.threads >> skipped >> stat.start_time;
  return stat;
}

std::string_view meaning_of(char state) {
  constexpr std::array<std::pair<char, std::string_view>, 8> kMeanings{
      {{'R', "running, or waiting for a CPU"},
       {'S', "sleeping until an event or a signal comes"},
       {'D', "sleeping in the kernel, where no signal wakes it"},
       {'T', "stopped by a signal"},
       {'t', "stopped by a debugger"},
       {'Z', "zombie: it has ended, and nobody has waited for it"},
       {'I', "idle kernel thread"},
       {'X', "dead"}}};
  for (const auto& [letter, meaning] : kMeanings) {
    if (letter == state) return meaning;
  }
  return "unknown";
}

std::string status_field(pid_t pid, std::string_view field) {
  std::istringstream lines{read_of(pid, "status")};
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(demo::text(field, ":"))) continue;
    const std::size_t value = line.find_first_not_of(" \t", field.size() + 1);
    return value == std::string::npos ? std::string{} : line.substr(value);
  }
  return {};
}

bool mask_contains(pid_t pid, std::string_view field, int signal_number) {
  const std::uint64_t mask = std::strtoull(status_field(pid, field).c_str(), nullptr, 16);
  return (mask >> (signal_number - 1) & 1) == 1;
}

std::vector<pid_t> children_of(pid_t pid) {
  std::istringstream pids{read_of(pid, demo::text("task/", pid, "/children"))};
  std::vector<pid_t> children;
  for (pid_t child = 0; pids >> child;) children.push_back(child);
  return children;
}

Memory memory_of(pid_t pid) {
  const std::string rollup = read_of(pid, "smaps_rollup");
  return {.pss = number_after(rollup, "\nPss:"),
          .private_dirty = number_after(rollup, "\nPrivate_Dirty:")};
}

long number_after(std::string_view text, std::string_view name) {
  const std::size_t at = text.find(name);
  if (at == std::string_view::npos) return 0;
  return std::strtol(std::string{text.substr(at + name.size(), 32)}.c_str(), nullptr, 10);
}

}  // namespace procpool::proc_demo
