// Waiting for a signal in one step, without the gap of pause(2).
//
//   ScopedSignalMask blocked{{SIGUSR1, SIGTERM}};                 // what comes from now on waits
//   if (auto signal = wait_for_signal({SIGUSR1, SIGTERM}, Deadline::in(5s))) use(signal->value);
//   while (!stop_requested) wait_for_handler(SignalSet::blocked().remove(SIGTERM));
#pragma once

#include <optional>

#include "ipc/base/deadline.hpp"
#include "proc/signal_info.hpp"
#include "proc/signal_set.hpp"

namespace procpool::proc {

// Takes the next of these signals as data; one that has come already is taken at once, a standard
// one once, however often it came. No handler runs for it. Nullopt: none came until the deadline.
// Handlers of other signals may run meanwhile. Throws Error unless the calling thread blocks all of
// them: else they would take their disposition, and be lost or fatal. sigtimedwait(2).
std::optional<SignalInfo> wait_for_signal(const SignalSet& signals,
                                          Deadline deadline = Deadline::never());

// Sleeps until a handler has run (ScopedSignalAction) for a signal that is not in `blocked`, which
// is the thread's mask meanwhile, and no longer when this returns. Block a signal first and test
// what its handler sets: it cannot come between the test and the sleep, as it can with pause(2). A
// signal whose disposition is to end or to stop the process does so; ignored ones do not wake.
// sigsuspend(2).
void wait_for_handler(const SignalSet& blocked);

// The same for a descriptor as well: waits for `events` (poll(2)), for a handler of a signal that
// is not in `blocked`, or for the deadline. Returns the events, 0 when the deadline passed, nullopt
// when a handler has run. ppoll(2). Throws Error.
std::optional<short> wait_ready_or_handler(int fd, short events, Deadline deadline,
                                           const SignalSet& blocked);

}  // namespace procpool::proc
