#include "proc/signal_set.hpp"

#include "ipc/base/error.hpp"
#include "proc/exit_status.hpp"

namespace procpool::proc {

SignalSet::SignalSet(std::initializer_list<int> signals) : SignalSet{} {
  for (const int signal_number : signals) add(signal_number);
}

SignalSet SignalSet::all() noexcept {
  SignalSet set;
  ::sigfillset(&set.set_);
  return set;
}

SignalSet SignalSet::blocked() noexcept {
  SignalSet set;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &set.set_);
  return set;
}

SignalSet& SignalSet::add(int signal_number) {
  if (::sigaddset(&set_, signal_number) != 0) throw_errno("sigaddset", signal_name(signal_number));
  return *this;
}

SignalSet& SignalSet::remove(int signal_number) {
  if (::sigdelset(&set_, signal_number) != 0) throw_errno("sigdelset", signal_name(signal_number));
  return *this;
}

}  // namespace procpool::proc
