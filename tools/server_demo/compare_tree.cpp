#include "tools/server_demo/compare_tree.hpp"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>

#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"

namespace procpool::server_demo {
namespace {

// Empty: the process has ended meanwhile.
std::string content_of(const std::string& path) {
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file.valid()) return {};
  std::string content;
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t n = retry_eintr([&] { return ::read(file.fd(), buffer.data(), buffer.size()); });
    if (n <= 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

std::string folder_of(pid_t pid) {
  return "/proc/" + std::to_string(pid);
}

void for_each_process(pid_t root, const std::function<void(pid_t)>& call) {
  call(root);
  const std::string task = folder_of(root) + "/task/" + std::to_string(root);
  std::istringstream children{content_of(task + "/children")};
  for (pid_t child = 0; children >> child;) for_each_process(child, call);
}

// The number behind these words.
std::uint64_t number_after(const std::string& content, std::string_view words) {
  const std::size_t found = content.find(words);
  if (found == std::string::npos) return 0;
  std::uint64_t number = 0;
  std::istringstream{content.substr(found + words.size(), 40)} >> number;
  return number;
}

std::chrono::nanoseconds time_of_process(pid_t pid) {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return {};
  return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

// Fields 16 and 17 of /proc/PID/stat: cutime, cstime. The second field is a name in brackets.
std::chrono::nanoseconds time_of_ended_children(pid_t pid) {
  const std::string stat = content_of(folder_of(pid) + "/stat");
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream fields{stat.substr(name_end + 1)};
  std::string skipped;
  for (int field = 3; field < 16; ++field) fields >> skipped;
  std::int64_t user = 0;
  std::int64_t system = 0;
  fields >> user >> system;
  static const std::int64_t ticks_a_second = ::sysconf(_SC_CLK_TCK);
  return std::chrono::nanoseconds{(user + system) * (std::nano::den / ticks_a_second)};
}

// Nothing of one that has ended since its parent named it.
void add_process(pid_t pid, TreeUse& use) {
  const unsigned before = use.threads;
  std::error_code gone;
  for (std::filesystem::directory_iterator task{folder_of(pid) + "/task", gone}, end;
       !gone && task != end; task.increment(gone)) {
    ++use.threads;
    const std::string status = content_of(task->path().string() + "/status");
    use.context_switches += number_after(status, "\nvoluntary_ctxt_switches:");
    use.context_switches += number_after(status, "\nnonvoluntary_ctxt_switches:");
  }
  if (use.threads > before) ++use.processes;
}

}  // namespace

TreeUse use_of_tree(pid_t root) {
  TreeUse use;
  for_each_process(root, [&](pid_t pid) {
    use.processor_time += time_of_process(pid) + time_of_ended_children(pid);
    add_process(pid, use);
  });
  return use;
}

std::uint64_t memory_of_tree(pid_t root) {
  constexpr std::uint64_t kKiB = 1024;
  std::uint64_t bytes = 0;
  for_each_process(root, [&](pid_t pid) {
    bytes += kKiB * number_after(content_of(folder_of(pid) + "/smaps_rollup"), "\nPss:");
  });
  return bytes;
}

}  // namespace procpool::server_demo
