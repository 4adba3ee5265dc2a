#include "tools/ipc_demo/segments.hpp"

#include <pwd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <iostream>
#include <optional>
#include <sstream>
#include <string_view>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/named_segments.hpp"
#include "tools/table.hpp"
#include "tools/text.hpp"

namespace procpool::demo {
namespace {

struct AddressRange {
  std::uintptr_t begin;
  std::uintptr_t end;
};

std::optional<std::uintptr_t> number(std::string_view digits, int base) {
  if (digits.starts_with("0x")) digits.remove_prefix(2);
  std::uintptr_t value = 0;
  const auto end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, value, base);
  return parsed.ec == std::errc{} ? std::optional{value} : std::nullopt;
}

// Empty: the process is gone, or it is another user's.
std::string read_if_allowed(const std::string& path) {
  try {
    return read_file(path);
  } catch (const Error&) {
    return {};
  }
}

// Where a process has a file mapped: proc_pid_maps(5), "begin-end rwxp offset dev inode path".
std::vector<AddressRange> mappings(pid_t pid, ino_t inode) {
  std::vector<AddressRange> found;
  std::istringstream maps{read_if_allowed(text("/proc/", pid, "/maps"))};
  for (std::string line; std::getline(maps, line);) {
    std::istringstream fields{line};
    std::string range;
    std::string skipped;
    ino_t of = 0;
    fields >> range >> skipped >> skipped >> skipped >> of;
    const std::size_t dash = range.find('-');
    if (of != inode || dash == std::string::npos || line.find("/dev/shm/") == std::string::npos)
      continue;
    const auto begin = number(std::string_view{range}.substr(0, dash), 16);
    const auto end = number(std::string_view{range}.substr(dash + 1), 16);
    if (begin && end) found.push_back({*begin, *end});
  }
  return found;
}

// Whether a thread sleeps on a futex within one of them: proc_pid_syscall(5), "number argument
// ...".
bool waits_in(const std::filesystem::path& thread, const std::vector<AddressRange>& ranges) {
  std::istringstream call{read_if_allowed(thread / "syscall")};
  std::string name;
  std::string argument;
  call >> name >> argument;
  const auto address = number(argument, 16);
  if (name != std::to_string(SYS_futex) || !address) return false;
  return std::ranges::any_of(ranges, [&](const AddressRange& range) {
    return *address >= range.begin && *address < range.end;
  });
}

bool waits_in(pid_t pid, const std::vector<AddressRange>& ranges) {
  std::error_code gone;
  for (std::filesystem::directory_iterator thread{text("/proc/", pid, "/task"), gone}, end;
       !gone && thread != end; thread.increment(gone)) {
    if (waits_in(thread->path(), ranges)) return true;
  }
  return false;
}

std::string user_name(uid_t uid) {
  const passwd* user = ::getpwuid(uid);
  return user != nullptr ? user->pw_name : std::to_string(uid);
}

std::string mode_text(mode_t mode) {
  constexpr std::string_view kLetters = "rwxrwxrwx";
  std::string letters(kLetters.size(), '-');
  for (std::size_t i = 0; i < letters.size(); ++i) {
    if ((mode >> (letters.size() - 1 - i) & 1U) != 0) letters[i] = kLetters[i];
  }
  return letters;
}

struct Details {
  std::string fill;  // how much of its memory is taken from the system
  std::vector<pid_t> waiting;
};

Details look_closer(const ipc::NamedSegment& segment) {
  struct stat status{};
  if (::stat(segment.path.c_str(), &status) < 0) return {};
  constexpr auto kBlock = 512;  // stat(2), st_blocks
  const auto taken = static_cast<std::uint64_t>(status.st_blocks) * kBlock;
  Details details;
  details.fill = text(
      std::min<std::uint64_t>(100, 100 * taken / std::max<std::uint64_t>(segment.size, 1)), " %");
  for (const pid_t pid : segment.users) {
    if (waits_in(pid, mappings(pid, status.st_ino))) details.waiting.push_back(pid);
  }
  return details;
}

std::string list_of(const std::vector<pid_t>& pids) {
  if (pids.empty()) return "-";
  std::string list;
  for (const pid_t pid : pids) list += (list.empty() ? "" : " ") + std::to_string(pid);
  return list;
}

// False: somebody uses it, or there is none.
bool remove(const std::string& name) {
  try {
    if (ipc::remove_named_segment(name)) {
      std::cout << "removed " << name << '\n';
      return true;
    }
    std::cerr << "ipc-demo: " << name << " is in use\n";
  } catch (const Error& error) {
    std::cerr << "ipc-demo: " << error.what() << '\n';
  }
  return false;
}

}  // namespace

int list_segments() {
  Table table{{{"name", Align::left},
               {"size"},
               {"fill"},
               {"owner", Align::left},
               {"mode", Align::left},
               {"state", Align::left},
               {"used by", Align::left},
               {"waiting", Align::left}}};
  const auto segments = ipc::list_named_segments();
  for (const ipc::NamedSegment& segment : segments) {
    const Details details = look_closer(segment);
    table.add({segment.name, size_text(segment.size), details.fill, user_name(segment.owner),
               mode_text(segment.mode), segment.in_use() ? "in use" : "dead",
               list_of(segment.users), list_of(details.waiting)});
  }
  std::cout << (segments.empty() ? "there are no named segments\n" : table.text()) << std::flush;
  return 0;
}

int remove_segments(const std::vector<std::string>& names) {
  bool all = true;
  for (const std::string& name : names) all = remove(name) && all;
  std::cout << std::flush;
  return all ? 0 : 1;
}

int remove_dead_segments() {
  std::vector<std::string> dead;
  for (const ipc::NamedSegment& segment : ipc::list_named_segments()) {
    if (!segment.in_use()) dead.push_back(segment.name);
  }
  if (dead.empty()) std::cout << "there is nothing dead\n" << std::flush;
  return remove_segments(dead);
}

}  // namespace procpool::demo
