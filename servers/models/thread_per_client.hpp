// A thread for each client.
//
//   models::ThreadPerClient server{net::Listener::open(net::Address::parse("127.0.0.1:7")),
//                                  {.max_connections = 200}};
//   server.run(echo);                  // a StreamHandler, which may block: only its client waits
#pragma once

#include "servers/models/protocol.hpp"
#include "servers/models/server.hpp"
#include "servers/net/listener.hpp"

namespace procpool::models {

// Each connection has a thread and a loop of its own, by poll(2), for as long as it lasts; one is
// made for each, which costs less than a process and more than a coroutine. What the handlers share
// is theirs to protect; one that crashes ends the whole server. One that never comes back keeps
// run() from returning.
class ThreadPerClient : public Server {
 public:
  explicit ThreadPerClient(net::Listener listener, ServerOptions options = {});  // throws Error

  void run(const StreamHandler& handler);

 private:
  net::Listener listener_;
};

}  // namespace procpool::models
