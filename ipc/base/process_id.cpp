#include "ipc/base/process_id.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool {
namespace {

constexpr int kFieldsBetweenNameAndStartTime = 20;

// The name of the program, in brackets, may itself hold spaces and brackets: the last one ends it.
std::optional<std::uint64_t> start_time_in(std::string_view stat) {
  const auto name_end = stat.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  std::string_view rest = stat.substr(name_end + 1);
  for (int field = 0; field < kFieldsBetweenNameAndStartTime; ++field) {
    const auto space = rest.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(space + 1);
  }
  std::uint64_t ticks = 0;
  const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), ticks);
  if (parsed.ec != std::errc{}) return std::nullopt;
  return ticks;
}

std::optional<std::uint64_t> start_time_of(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  const UniqueFd file{retry_eintr([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); })};
  if (!file.valid()) {
    if (errno == ENOENT) return std::nullopt;
    throw_errno("open", path);
  }
  std::array<char, 1024> text;
  const ssize_t n = retry_eintr([&] { return ::read(file.fd(), text.data(), text.size()); });
  if (n < 0) {
    if (errno == ESRCH) return std::nullopt;
    throw_errno("read", path);
  }
  return start_time_in({text.data(), static_cast<std::size_t>(n)});
}

int pidfd_open(pid_t pid) noexcept {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

}  // namespace

ProcessId ProcessId::self() {
  const auto id = of(::getpid());
  if (!id) throw_errno("read", "/proc/self/stat", ENOENT);
  return *id;
}

std::optional<ProcessId> ProcessId::of(pid_t pid) {
  const auto ticks = start_time_of(pid);
  if (!ticks) return std::nullopt;
  return ProcessId{pid, *ticks};
}

bool ProcessId::is_dead() const {
  if (pid <= 0) return true;
  // The pidfd comes first: if it is of a later process, so is the start time read after it.
  const UniqueFd pidfd{pidfd_open(pid)};
  if (!pidfd.valid()) {
    if (errno == ESRCH || errno == EINVAL) return true;
    throw_errno("pidfd_open", std::to_string(pid));
  }
  return has_ended(pidfd.fd()) || start_time_of(pid) != start_time;
}

UniqueFd open_pidfd(pid_t pid) {
  UniqueFd pidfd{pidfd_open(pid)};
  if (!pidfd.valid()) throw_errno("pidfd_open", std::to_string(pid));
  return pidfd;
}

bool has_ended(int pidfd) {
  return wait_ready(pidfd, POLLIN, Deadline::now()) != 0;
}

bool send_signal(int pidfd, int signal_number) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, signal_number, nullptr, 0) == 0) return true;
  if (errno == ESRCH) return false;
  throw_errno("pidfd_send_signal", std::to_string(signal_number));
}

}  // namespace procpool
