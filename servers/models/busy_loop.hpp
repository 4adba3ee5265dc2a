// Non-blocking input and output without a wait: the kernel is asked about everything, all the time.
//
//   models::BusyLoop{net::Listener::open(net::Address::parse("127.0.0.1:7"))}.run(echo);
//   // echo: a MakeByteHandler, as for EventLoop
#pragma once

#include "servers/models/protocol.hpp"
#include "servers/models/server.hpp"
#include "servers/net/listener.hpp"

namespace procpool::models {

// To be looked at: it uses the whole of a processor, whether anybody wants something or not, and
// each connection makes it slower for all others. What select(2) was invented for. The handlers
// must not block.
class BusyLoop : public Server {
 public:
  explicit BusyLoop(net::Listener listener, ServerOptions options = {});  // throws Error

  void run(const MakeByteHandler& make_handler);

 private:
  net::Listener listener_;
};

}  // namespace procpool::models
