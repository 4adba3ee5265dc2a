// Connections as coroutines of one loop.
//
//   CoroutineHost host{server, echo, {{&listener}}, {.most = 1000}};
//   host.run();                                          // until the server is told to stop
#pragma once

#include <cstddef>
#include <functional>

#include "ipc/base/loop.hpp"
#include "ipc/base/poller.hpp"
#include "servers/models/detail/reception.hpp"
#include "servers/models/detail/server_state.hpp"
#include "servers/models/protocol.hpp"
#include "servers/net/interrupt.hpp"
#include "servers/net/task.hpp"

namespace procpool::models::detail {

// Where a connection is served. All of it outlives the connection.
struct Place {
  ServerState& server;
  Loop& loop;
  net::Interrupt& stop;
  const StreamHandler& handler;
};

// A connection from here to its end: counted, ended when the server stops, and logged when its
// handler throws.
void begin_connection(net::TaskGroup& connections, const Place& place, UniqueFd socket);

// Of the one thread that makes it and runs it.
class CoroutineHost {
 public:
  struct Options {
    std::size_t most;  // connections at once
    Poller::Backend backend = Poller::Backend::epoll_level;
    int stop_fd = -1;                                // -1: the server's; see StopWatch
    MakeAcceptor make_acceptor{};                    // unset: the listeners are this host's alone
    std::function<void()> on_closed{};               // the listeners are not used any more
    std::function<void(std::size_t)> on_turn_end{};  // the number of connections
  };

  CoroutineHost(ServerState& server, const StreamHandler& handler, Doors doors, Options options);

  void run();
  Loop& loop() noexcept { return loop_; }

 private:
  std::size_t room() const noexcept {
    return connections_.size() < options_.most ? options_.most - connections_.size() : 0;
  }

  Options options_;
  Loop loop_;
  StopWatch stop_;
  Place place_;
  Reception reception_;
  net::TaskGroup connections_;  // last: the tasks use all of the above
};

// The whole of a server with one loop and one listener. Obeys signals.
void serve_alone(ServerState& server, net::Listener& listener, const StreamHandler& handler,
                 CoroutineHost::Options options);

}  // namespace procpool::models::detail
