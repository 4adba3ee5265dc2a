// One client after the other.
//
//   net::Task<> greet(net::Stream stream) {
//     co_await stream.write("hello\n", Deadline::in(30s));
//   }
//   models::Iterative{net::Listener::open(net::Address::parse("127.0.0.1:7000"))}.run(greet);
#pragma once

#include "servers/models/protocol.hpp"
#include "servers/models/server.hpp"
#include "servers/net/listener.hpp"

namespace procpool::models {

// The simplest server: it serves a client to his end, and the others wait in the kernel's queue so
// long. The handler may block; who is slow, or silent, keeps everybody waiting until a deadline of
// the handler's. max_connections has no meaning here.
class Iterative : public Server {
 public:
  explicit Iterative(net::Listener listener, ServerOptions options = {});  // throws Error

  void run(const StreamHandler& handler);

 private:
  net::Listener listener_;
};

}  // namespace procpool::models
