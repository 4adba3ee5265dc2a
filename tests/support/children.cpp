#include "tests/support/children.hpp"

#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "tests/support/eventually.hpp"

namespace procpool::test {
namespace {

struct Process {
  Child child;
  pid_t parent;
};

std::optional<Process> read_process(const std::string& pid) {
  std::ostringstream content;
  content << std::ifstream{"/proc/" + pid + "/stat"}.rdbuf();  // it may vanish while it is read
  const std::string stat = content.str();
  const auto name_begin = stat.find('(');
  const auto name_end = stat.rfind(')');
  if (name_begin == std::string::npos || name_end == std::string::npos) return std::nullopt;
  Process process{.child = {.pid = std::stoi(pid),
                            .state = '?',
                            .name = stat.substr(name_begin + 1, name_end - name_begin - 1)},
                  .parent = 0};
  std::istringstream{stat.substr(name_end + 1)} >> process.child.state >> process.parent;
  return process;
}

// Reaps one child that has ended. False: none has, at present.
bool reap_one(int flags) {
  siginfo_t info{};
  const int result =
      retry_eintr([&] { return ::waitid(P_ALL, 0, &info, WEXITED | __WALL | flags); });
  return result == 0 && info.si_pid != 0;
}

}  // namespace

void become_subreaper() {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 && errno != EINVAL) {
    throw_errno("prctl", "PR_SET_CHILD_SUBREAPER");
  }
}

std::vector<Child> list_children() {
  return list_children(::getpid());
}

std::vector<Child> list_children(pid_t parent) {
  std::vector<Child> children;
  const std::unique_ptr<DIR, int (*)(DIR*)> proc{::opendir("/proc"), ::closedir};
  if (!proc) throw_errno("open", "/proc");
  while (const dirent* entry = ::readdir(proc.get())) {
    if (!std::isdigit(static_cast<unsigned char>(entry->d_name[0]))) continue;
    const auto process = read_process(entry->d_name);
    if (process && process->parent == parent) children.push_back(process->child);
  }
  return children;
}

std::string describe(const std::vector<Child>& children) {
  std::string text;
  for (const Child& child : children) {
    if (!text.empty()) text += ", ";
    text += std::to_string(child.pid) + " (" + child.name + ", " + child.state + ")";
  }
  return text;
}

bool has_children() {
  siginfo_t info{};
  const int result =
      retry_eintr([&] { return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL); });
  if (result < 0 && errno != ECHILD) throw_errno("waitid", "every child");
  return result == 0;
}

void kill_and_reap_all() {
  while (has_children()) {
    // A child that is not reaped yet keeps its pid: nobody else can be hit.
    for (const Child& child : list_children()) ::kill(child.pid, SIGKILL);
    reap_one(0);
  }
}

bool await_no_children(Deadline deadline) {
  return eventually(
      [] {
        while (reap_one(WNOHANG)) {
        }
        return !has_children();
      },
      deadline);
}

bool await_no_children() {
  return await_no_children(Deadline::in(kPatience));
}

}  // namespace procpool::test
