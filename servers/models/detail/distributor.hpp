// Which worker takes which connection: the master's side of an accept strategy.
//
//   auto distributor = make_distributor(AcceptStrategy::pass, {.loop = loop, ...});
//   keep(distributor->equip(slot));                          // and fork
//   distributor->serve_with({0, 1, 3}, doors);               // these slots' workers are ready
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ipc/base/deadline.hpp"
#include "ipc/base/loop.hpp"
#include "ipc/base/unique_fd.hpp"
#include "ipc/channel.hpp"
#include "proc/scoreboard.hpp"
#include "servers/models/accept_strategy.hpp"
#include "servers/models/detail/acceptor.hpp"
#include "servers/models/detail/intake.hpp"
#include "servers/net/listener.hpp"

namespace procpool::models::detail {

// The listening sockets of each address.
using Doors = std::vector<std::vector<net::Listener*>>;

// One for each strategy, in the master and for its life: generations of workers that share a
// strategy share it. What it shares with workers they cannot break: it believes nothing that it
// reads there, and never waits for them.
class Distributor {
 public:
  virtual ~Distributor() = default;

  // So many sockets are opened for an address that can have more than one.
  virtual std::size_t sockets_for(std::size_t /*workers*/) const { return 1; }

  // Before the worker of this slot is forked. Returns the descriptors that it keeps, beside the
  // listeners.
  virtual std::vector<int> equip(int /*slot*/) { return {}; }

  // In that worker.
  virtual std::unique_ptr<Acceptor> make_acceptor(int slot, const Doors& doors, Loop& loop,
                                                  Intake& intake) = 0;

  // The workers that are to take connections from now on, and from where. Whether they have to look
  // again.
  virtual bool serve_with(const std::vector<int>& /*slots*/, const Doors& /*doors*/) {
    return false;
  }

  virtual void forget(int /*slot*/) {}  // its worker is gone; it may be said again

  // This process is going to execute another program: the master has no connection in its hands any
  // more. serve_with() takes that back. False: a worker has not taken what was sent to it.
  virtual bool let_go(Deadline) { return true; }

  virtual void stop() {}  // the listeners are going to be closed
};

struct DistributorParts {
  Loop& loop;
  const proc::Scoreboard& board;
  ipc::Channel& any_worker;  // a connection that is put in here is served by somebody
  std::function<void(const std::string&)> complain;
};
std::unique_ptr<Distributor> make_distributor(AcceptStrategy strategy, DistributorParts parts);

// What is behind it, one for each strategy.
std::unique_ptr<Distributor> make_shared_distributor();
std::unique_ptr<Distributor> make_reuseport_distributor();
std::unique_ptr<Distributor> make_mutex_distributor();
std::unique_ptr<Distributor> make_file_lock_distributor();
std::unique_ptr<Distributor> make_pass_distributor(DistributorParts parts);

}  // namespace procpool::models::detail
