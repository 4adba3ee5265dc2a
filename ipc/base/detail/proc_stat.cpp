#include "ipc/base/detail/proc_stat.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>

#include "ipc/base/deadline.hpp"
#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"

namespace procpool::detail {
namespace {

template <typename Number>
std::optional<Number> number_at(std::string_view fields, int index) {
  for (; index > 0; --index) {
    const auto space = fields.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    fields.remove_prefix(space + 1);
  }
  Number number = 0;
  const auto parsed = std::from_chars(fields.data(), fields.data() + fields.size(), number);
  return parsed.ec == std::errc{} ? std::optional{number} : std::nullopt;
}

// The name of the program, in brackets, may itself hold spaces and brackets: the last one ends it.
std::optional<ProcStat> parse(std::string_view stat) {
  const auto name_end = stat.rfind(')');
  if (name_end == std::string_view::npos || stat.size() < name_end + 3) return std::nullopt;
  const std::string_view from_state = stat.substr(name_end + 2);
  constexpr int kState = 3;  // its number in proc(5)
  const auto flags = number_at<std::uint32_t>(from_state, 9 - kState);
  const auto ticks = number_at<std::uint64_t>(from_state, 22 - kState);
  if (!flags || !ticks) return std::nullopt;
  return ProcStat{.state = from_state.front(), .flags = *flags, .start_time = *ticks};
}

bool is_shortage(int error) noexcept {
  return error == EMFILE || error == ENFILE || error == ENOMEM;
}

}  // namespace

std::optional<ProcStat> read_proc_stat(pid_t id) {
  // Emulators (qemu-user) make a /proc/ID/stat of their own up, with another start time than that
  // which other processes see; of this one they know nothing.
  std::array<char, 48> path{};
  std::snprintf(path.data(), path.size(), "/proc/%d/task/%d/stat", id, id);
  const UniqueFd file{retry_eintr([&] { return ::open(path.data(), O_RDONLY | O_CLOEXEC); })};
  if (!file.valid()) {
    if (errno == ENOENT || errno == ESRCH) return std::nullopt;
    throw_errno("open", path.data());
  }
  std::array<char, 1024> text;
  const ssize_t n = retry_eintr([&] { return ::read(file.fd(), text.data(), text.size()); });
  if (n < 0) {
    if (errno == ESRCH) return std::nullopt;
    throw_errno("read", path.data());
  }
  return parse({text.data(), static_cast<std::size_t>(n)});
}

std::optional<ProcStat> try_to_read_proc_stat(pid_t id) {
  try {
    return read_proc_stat(id);
  } catch (const Error& error) {
    if (!is_shortage(error.code().value())) throw;
    return std::nullopt;
  }
}

bool id_exists(pid_t id) noexcept {
  return id > 0 && (::kill(id, 0) == 0 || errno != ESRCH);
}

bool process_has_ended(pid_t id, std::uint64_t start_time, std::uint64_t known) {
  // The pidfd comes first: if it is of a later process, so is the start time read after it.
  const UniqueFd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, id, 0))};
  if (!pidfd.valid()) {
    // EINVAL: the id is a thread's by now, and no process's.
    if (errno == ESRCH || errno == EINVAL) return true;
    if (is_shortage(errno)) return !id_exists(id);
    throw_errno("pidfd_open", std::to_string(id));
  }
  if (wait_ready(pidfd.fd(), POLLIN, Deadline::now()) != 0) return true;
  const auto stat = try_to_read_proc_stat(id);
  return stat && ((stat->start_time ^ start_time) & known) != 0;
}

}  // namespace procpool::detail
