// Threads that are there before their clients: what Prefork does with processes.
//
//   models::Prethread server{net::Listener::open(net::Address::parse("127.0.0.1:7")),
//                            {.threads = 4, .accept = AcceptStrategy::reuseport}};
//   server.run(echo);                                     // a StreamHandler
#pragma once

#include "ipc/base/loop.hpp"
#include "servers/models/accept_strategy.hpp"
#include "servers/models/protocol.hpp"
#include "servers/models/server.hpp"
#include "servers/net/listener.hpp"

namespace procpool::models {

struct PrethreadOptions {
  unsigned threads = 2;
  AcceptStrategy accept = AcceptStrategy::shared;  // `pass`: the thread of run() passes them
  ServerOptions server{};                          // max_connections: in each thread
};

// Each thread has a loop, and a coroutine for each of its connections: the handler must not block.
// With max_connections = 1 a thread serves one client at a time, as the classic server of this name
// does; it takes one more if it alone was woken for him. What the handlers share is theirs to
// protect, and one that crashes ends the whole server.
class Prethread : public Server {
 public:
  explicit Prethread(net::Listener listener, PrethreadOptions options = {});  // throws Error

  void run(const StreamHandler& handler);  // throws Error, or std::system_error: no threads

 private:
  class Crew;
  void share(const StreamHandler& handler, Loop& loop);
  void pass(const StreamHandler& handler, Loop& loop);

  net::Listener listener_;
  unsigned threads_;
  AcceptStrategy accept_;
};

}  // namespace procpool::models
