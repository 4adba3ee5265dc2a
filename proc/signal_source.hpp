// Signals as data: they arrive in an event loop, where any code may run.
//
//   SignalSource signals{{SIGTERM, SIGHUP, SIGCHLD}};
//   ... when signals.fd() is readable:
//   while (auto signal = signals.try_next()) handle(signal->number);
#pragma once

#include <sys/types.h>

#include <optional>

#include "ipc/base/unique_fd.hpp"
#include "proc/signal_info.hpp"
#include "proc/signal_mask.hpp"
#include "proc/signal_set.hpp"

namespace procpool::proc {

// A signalfd(2), close-on-exec and non-blocking, and the mask that it needs: the signals are
// blocked in the thread that makes it, until it ends. Make it before other threads start: they
// inherit the mask, and a thread that does not block a signal would take it by its disposition
// instead. Standard signals coalesce: several that arrive before one is read are read once. After
// fork the descriptor is of no use to the child, though epoll would still report the parent's
// signals: the child's calls throw Error; it makes a source of its own. A child made by Process
// with ChildOptions::blocked_signals loses none meanwhile.
class SignalSource {
 public:
  explicit SignalSource(const SignalSet& signals);  // throws Error

  int fd() const noexcept { return fd_.fd(); }  // readable: try_next() has one

  // The next signal that has arrived; nullopt: none. Never blocks. Throws Error after fork.
  std::optional<SignalInfo> try_next();

 private:
  pid_t made_by_;
  ScopedSignalMask mask_;
  UniqueFd fd_;
};

}  // namespace procpool::proc
