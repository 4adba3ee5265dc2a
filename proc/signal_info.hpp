// What is known of a signal that has arrived.
//
//   if (const auto signal = signals.try_next()) log(signal_name(signal->number), signal->sender);
#pragma once

#include <signal.h>
#include <sys/types.h>

namespace procpool::proc {

// A value; it is read by SignalSource and wait_for_signal.
struct SignalInfo {
  int number = 0;
  pid_t sender = 0;          // 0: the kernel, or a process outside this pid namespace
  uid_t uid = 0;             // the sender's real user
  int value = 0;             // what sigqueue(3) or Process::signal_with_value sent along
  bool from_kernel = false;  // SI_KERNEL, sigaction(2): as from a terminal, not by kill(2)
};

}  // namespace procpool::proc
