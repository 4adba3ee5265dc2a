// A process that speaks with a client in a session's place, and has less power than the session.
//
//   {
//     Deputy deputy{session, stream, talk, {.credentials = nobody, .keep = {question.fd()}}};
//     ... answer what it asks ...
//   }                                       // it is gone, and the session has the client
#pragma once

#include <memory>
#include <vector>

#include "proc/credentials.hpp"
#include "proc/process.hpp"
#include "servers/models/session.hpp"
#include "servers/net/interrupt.hpp"
#include "servers/net/stream.hpp"

namespace procpool::models {

// A child of a session, and a session itself: with the same client, connection and slot, with
// credentials, a loop and a log of its own. It is given the signals that the session is given. It
// dies with the session, and when this object does. The master knows nothing of it: it counts
// nowhere, and the slot shows the session's process.
//
// The session must not touch the connection meanwhile. For its thread.
class Deputy {
 public:
  struct Options {
    proc::Credentials credentials;  // not root's
    std::vector<int> keep{};        // descriptors, beside the connection
  };

  // Throws Error.
  Deputy(Session& session, const net::Stream& connection, const SessionHandler& handler,
         const Options& options);
  Deputy(const Deputy&) = delete;
  Deputy& operator=(const Deputy&) = delete;

  proc::Process& process() noexcept { return *process_; }

 private:
  struct Stop : net::Interrupt::Waiter {
    explicit Stop(Deputy& to_tell) : deputy{to_tell} {}
    void interrupted() override;
    Deputy& deputy;
  };

  std::shared_ptr<proc::Process> process_;  // shared with nobody who keeps it
  Stop stop_{*this};
};

}  // namespace procpool::models
