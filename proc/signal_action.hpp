// What a signal does, for the life of a scope.
//
//   ScopedSignalAction no_sigpipe{SIGPIPE, SIG_IGN};     // a write to a closed pipe is EPIPE now
//   ScopedSignalAction on_abort{SIGABRT, &write_backtrace, SA_RESETHAND};
#pragma once

#include <signal.h>

namespace procpool::proc {

// Sets the process's disposition of one signal (sigaction(2)) and puts the former one back at its
// end. It concerns all threads; nested ones end in reverse order. A child of fork inherits it, a
// child made by Process starts with the defaults, and exec keeps what is ignored and resets the
// rest.
class ScopedSignalAction {
 public:
  using Handler = void (*)(int);  // only async-signal-safe work: signal-safety(7)

  // SIG_IGN, SIG_DFL or a handler; flags as sigaction(2) takes them. Throws Error (EINVAL: SIGKILL,
  // SIGSTOP).
  ScopedSignalAction(int signal_number, Handler handler, int flags = SA_RESTART);
  ScopedSignalAction(const ScopedSignalAction&) = delete;
  ScopedSignalAction& operator=(const ScopedSignalAction&) = delete;
  ~ScopedSignalAction();

 private:
  int signal_number_;
  struct sigaction former_;
};

}  // namespace procpool::proc
