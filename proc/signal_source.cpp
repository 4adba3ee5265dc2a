#include "proc/signal_source.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::proc {

SignalSource::SignalSource(const SignalSet& signals)
    : made_by_{::getpid()},
      mask_{signals},
      fd_{::signalfd(-1, &signals.native(), SFD_CLOEXEC | SFD_NONBLOCK)} {
  if (!fd_.valid()) throw_errno("signalfd");
}

std::optional<SignalInfo> SignalSource::try_next() {
  if (made_by_ != ::getpid()) {
    throw Error{"read", "signals", "this source was made before fork, in the parent"};
  }
  signalfd_siginfo info;
  if (retry_eintr([&] { return ::read(fd_.fd(), &info, sizeof info); }) < 0) {
    if (errno == EAGAIN) return std::nullopt;
    throw_errno("read", "signals");
  }
  return SignalInfo{.number = static_cast<int>(info.ssi_signo),
                    .sender = static_cast<pid_t>(info.ssi_pid),
                    .uid = info.ssi_uid,
                    .value = info.ssi_int,
                    .from_kernel = info.ssi_code == SI_KERNEL};
}

}  // namespace procpool::proc
