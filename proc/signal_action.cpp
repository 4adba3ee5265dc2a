#include "proc/signal_action.hpp"

#include "ipc/base/error.hpp"
#include "proc/exit_status.hpp"

namespace procpool::proc {

ScopedSignalAction::ScopedSignalAction(int signal_number, Handler handler, int flags)
    : signal_number_{signal_number} {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = flags;
  if (::sigaction(signal_number, &action, &former_) != 0) {
    throw_errno("sigaction", signal_name(signal_number));
  }
}

ScopedSignalAction::~ScopedSignalAction() {
  ::sigaction(signal_number_, &former_, nullptr);
}

}  // namespace procpool::proc
