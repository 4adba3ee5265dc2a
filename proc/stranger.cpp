#include "proc/stranger.hpp"

#include <sys/wait.h>

#include <algorithm>
#include <string>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::proc {
namespace {

// Unreaped, so that its pid is its own.
std::string name_of_zombie(pid_t pid) {
  try {
    std::string name = read_file("/proc/" + std::to_string(pid) + "/comm");
    name.erase(std::min(name.find('\n'), name.size()));
    return name;
  } catch (const Error&) {
    return {};  // no /proc
  }
}

}  // namespace

std::vector<Stranger> reap_strangers(const std::function<bool(pid_t)>& collect_own) {
  std::vector<Stranger> strangers;
  for (;;) {
    // The kernel may name the same one again and again: whoever is named is reaped before we go on.
    siginfo_t info{};
    const int looked = ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL);
    if (looked != 0 || info.si_pid == 0) return strangers;
    if (collect_own(info.si_pid)) continue;
    std::string name = name_of_zombie(info.si_pid);
    const auto id = static_cast<id_t>(info.si_pid);
    if (::waitid(P_PID, id, &info, WEXITED | WNOHANG | __WALL) == 0) {
      strangers.push_back({info.si_pid, std::move(name), ExitStatus::from_siginfo(info)});
    }
  }
}

}  // namespace procpool::proc
