// A set of signals.
//
//   SignalSet ends{SIGTERM, SIGINT};
//   ends.add(SIGQUIT);
//   ScopedSignalMask blocked{SignalSet::all()};
#pragma once

#include <signal.h>

#include <initializer_list>

namespace procpool::proc {

// A value over sigset_t. Adding what is no signal throws Error (EINVAL).
class SignalSet {
 public:
  SignalSet() noexcept { ::sigemptyset(&set_); }
  SignalSet(std::initializer_list<int> signals);
  explicit SignalSet(const sigset_t& set) noexcept : set_{set} {}

  static SignalSet all() noexcept;
  static SignalSet blocked() noexcept;  // the calling thread's mask

  SignalSet& add(int signal_number);
  SignalSet& remove(int signal_number);
  bool contains(int signal_number) const noexcept {
    return ::sigismember(&set_, signal_number) == 1;
  }

  const sigset_t& native() const noexcept { return set_; }

 private:
  sigset_t set_;
};

}  // namespace procpool::proc
