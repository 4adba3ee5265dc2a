#include "proc/notifier.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"
#include "proc/detail/environment.hpp"

namespace procpool::proc {
namespace {

using detail::take_variable;
using detail::whole_number;
using std::chrono::microseconds;

// The variables are taken together: what is meant for another process is nobody's.
std::optional<microseconds> take_watchdog_interval() {
  const auto interval = take_variable("WATCHDOG_USEC");
  const auto pid = take_variable("WATCHDOG_PID");
  if (!interval) return std::nullopt;
  constexpr auto kMostPid = std::numeric_limits<pid_t>::max();
  if (pid && whole_number("WATCHDOG_PID", *pid, kMostPid) != static_cast<std::uint64_t>(::getpid()))
    return std::nullopt;
  const auto number = whole_number("WATCHDOG_USEC", *interval, microseconds::max().count());
  if (number == 0) throw Error{"WATCHDOG_USEC", *interval, "is no time"};
  return microseconds{number};
}

// The clock that a manager compares with: sd_notify(3), MONOTONIC_USEC.
microseconds monotonic_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::chrono::floor<microseconds>(std::chrono::seconds{now.tv_sec} +
                                          std::chrono::nanoseconds{now.tv_nsec});
}

}  // namespace

Notifier Notifier::from_environment() {
  const auto address = take_variable("NOTIFY_SOCKET");
  const auto watchdog = take_watchdog_interval();
  if (!address) return {};
  Notifier notifier{*address};
  notifier.watchdog_ = watchdog;
  return notifier;
}

Notifier::Notifier(std::string address) : address_{std::move(address)} {
  const bool abstract = address_.starts_with('@');
  if (address_.size() < 2 || (!abstract && !address_.starts_with('/'))) {
    throw Error{"notify", address_, "is neither a path nor an abstract name"};
  }
  // A path ends in a zero byte.
  if (address_.size() + (abstract ? 0 : 1) > sizeof(sockaddr_un::sun_path)) {
    throw_errno("notify", address_, ENAMETOOLONG);
  }
  if (abstract) address_.front() = '\0';
}

bool Notifier::ready(std::string_view status) {
  return send("READY=1", status);
}

bool Notifier::reloading(std::string_view status) {
  return send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonic_now().count()), status);
}

bool Notifier::stopping(std::string_view status) {
  return send("STOPPING=1", status);
}

bool Notifier::status(std::string_view text) {
  return send({}, text);
}

bool Notifier::main_process(pid_t pid) {
  return send("MAINPID=" + std::to_string(pid));
}

bool Notifier::keep_alive() {
  return send("WATCHDOG=1");
}

bool Notifier::trigger_watchdog() {
  return send("WATCHDOG=trigger");
}

bool Notifier::send(std::string state, std::string_view status) {
  if (status.find('\n') != std::string_view::npos) {
    throw Error{"notify", status, "a status is one line"};
  }
  if (!listening()) return false;
  if (!status.empty() || state.empty()) {
    state.append(state.empty() ? "" : "\n").append("STATUS=").append(status);
  }

  const UniqueFd socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  if (!socket.valid()) throw_errno("socket", "notify");
  constexpr timeval kPatience{.tv_sec = 5, .tv_usec = 0};
  if (::setsockopt(socket.fd(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience) != 0) {
    throw_errno("setsockopt", "notify");
  }
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::copy(address_.begin(), address_.end(), std::begin(to.sun_path));
  // A path may, an abstract name must end where it ends.
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  return retry_eintr([&] {
           return ::sendto(socket.fd(), state.data(), state.size(), MSG_NOSIGNAL,
                           reinterpret_cast<const sockaddr*>(&to), size);
         }) >= 0;
}

}  // namespace procpool::proc
