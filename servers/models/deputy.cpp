#include "servers/models/deputy.hpp"

#include <signal.h>

#include <utility>

#include "ipc/base/unique_fd.hpp"

namespace procpool::models {
namespace {

proc::Process fork_deputy(const Session& session, int connection, const SessionHandler& handler,
                          const Deputy::Options& options) {
  std::vector<int> keep = options.keep;
  keep.push_back(connection);
  return proc::Process::fork(
      [&] { return Session{session.parts()}.run(handler, UniqueFd{connection}); },
      {.name = "deputy",
       .die_with_parent = true,
       .credentials = options.credentials,
       .no_new_privs = true,
       .keep_only = std::move(keep),
       .blocked_signals = Session::signals()});
}

}  // namespace

Deputy::Deputy(Session& session, const net::Stream& connection, const SessionHandler& handler,
               const Options& options)
    : process_{std::make_shared<proc::Process>(
          fork_deputy(session, connection.fd(), handler, options))} {
  session.stop().add(stop_);
  if (session.stop().raised()) stop_.interrupted();
  session.at_reopen([deputy = std::weak_ptr{process_}] {
    if (const auto still = deputy.lock()) still->signal(SIGUSR1);
  });
}

void Deputy::Stop::interrupted() {
  deputy.process_->signal(SIGTERM);
}

}  // namespace procpool::models
