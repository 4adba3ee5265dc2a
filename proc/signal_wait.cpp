#include "proc/signal_wait.hpp"

#include <poll.h>
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "ipc/base/error.hpp"
#include "proc/exit_status.hpp"

namespace procpool::proc {
namespace {

// What is left, as the kernel takes it: not more than a year, after which it is asked again.
timespec timeout_of(Deadline deadline) {
  using namespace std::chrono;
  const nanoseconds left = std::min<nanoseconds>(deadline.remaining(), hours{24 * 365});
  const auto whole = floor<seconds>(left);
  return {.tv_sec = whole.count(), .tv_nsec = (left - whole).count()};
}

// Only some of them have the fields that others keep other things in: sigaction(2).
SignalInfo read_info(const siginfo_t& info) {
  const int code = info.si_code;
  const bool has_value = code == SI_QUEUE || code == SI_MESGQ || code == SI_TIMER;
  const bool has_sender = code == SI_USER || code == SI_TKILL || code == SI_QUEUE ||
                          code == SI_MESGQ || info.si_signo == SIGCHLD;
  return {.number = info.si_signo,
          .sender = has_sender ? info.si_pid : 0,
          .uid = has_sender ? info.si_uid : 0,
          .value = has_value ? info.si_value.sival_int : 0,
          .from_kernel = code == SI_KERNEL};
}

void require_blocked(const SignalSet& signals) {
  const SignalSet blocked = SignalSet::blocked();
  for (int number = 1; number < NSIG; ++number) {
    if (signals.contains(number) && !blocked.contains(number)) {
      throw Error{"sigtimedwait", signal_name(number), "it is not blocked"};
    }
  }
}

}  // namespace

std::optional<SignalInfo> wait_for_signal(const SignalSet& signals, Deadline deadline) {
  require_blocked(signals);
  for (;;) {
    siginfo_t info{};
    const timespec timeout = timeout_of(deadline);
    if (::sigtimedwait(&signals.native(), &info, &timeout) >= 0) {
      return read_info(info);
    }
    if (errno != EAGAIN && errno != EINTR) throw_errno("sigtimedwait");
    if (errno == EAGAIN && deadline.expired()) return std::nullopt;
  }
}

void wait_for_handler(const SignalSet& blocked) {
  ::sigsuspend(&blocked.native());
}

std::optional<short> wait_ready_or_handler(int fd, short events, Deadline deadline,
                                           const SignalSet& blocked) {
  pollfd item{.fd = fd, .events = events, .revents = 0};
  for (;;) {
    const timespec timeout = timeout_of(deadline);
    const int n = ::ppoll(&item, 1, &timeout, &blocked.native());
    if (n > 0) return item.revents;
    if (n < 0 && errno == EINTR) return std::nullopt;
    if (n < 0) throw_errno("ppoll", "descriptor " + std::to_string(fd));
    if (deadline.expired()) return short{0};
  }
}

}  // namespace procpool::proc
