// Thousands of clients in one process and one thread: a coroutine for each.
//
//   net::Task<> echo(net::Stream stream) {
//     std::array<char, 4096> buffer;
//     for (;;) {
//       const net::IoResult got = co_await stream.read_some(buffer, Deadline::in(60s));
//       if (got.failed() || got.bytes == 0) co_return;
//       if ((co_await stream.write({buffer.data(), got.bytes}, Deadline::in(30s))).failed())
//         co_return;
//     }
//   }
//   models::Coroutines{net::Listener::open(net::Address::parse("127.0.0.1:7"))}.run(echo);
#pragma once

#include "servers/models/protocol.hpp"
#include "servers/models/server.hpp"
#include "servers/net/listener.hpp"

namespace procpool::models {

// The handler reads like blocking code, and must not block: the loop serves the others while it
// waits. For as many processors as there are see Prefork and Prethread.
class Coroutines : public Server {
 public:
  explicit Coroutines(net::Listener listener, ServerOptions options = {});  // throws Error

  void run(const StreamHandler& handler);

 private:
  net::Listener listener_;
};

}  // namespace procpool::models
