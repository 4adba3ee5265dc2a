#include "proc/signal_mask.hpp"

namespace procpool::proc {

// pthread_sigmask(3) fails only on an unknown first argument.
ScopedSignalMask::ScopedSignalMask(const SignalSet& blocked) noexcept {
  sigset_t former;
  ::pthread_sigmask(SIG_BLOCK, &blocked.native(), &former);
  former_ = SignalSet{former};
}

ScopedSignalMask::~ScopedSignalMask() {
  ::pthread_sigmask(SIG_SETMASK, &former_.native(), nullptr);
}

}  // namespace procpool::proc
