// Blocks signals for the life of a scope.
//
//   ScopedSignalMask quiet{SignalSet::all()};
//   ... nothing interrupts this ...
#pragma once

#include "proc/signal_set.hpp"

namespace procpool::proc {

// Adds signals to the calling thread's mask (pthread_sigmask(3)) and puts the former mask back at
// its end, in the same thread. What arrives meanwhile stays pending, standard signals once each. A
// child of fork inherits the mask.
class ScopedSignalMask {
 public:
  explicit ScopedSignalMask(const SignalSet& blocked) noexcept;
  ScopedSignalMask(const ScopedSignalMask&) = delete;
  ScopedSignalMask& operator=(const ScopedSignalMask&) = delete;
  ~ScopedSignalMask();

 private:
  SignalSet former_;
};

}  // namespace procpool::proc
