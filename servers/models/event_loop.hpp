// Call-backs on bytes, by select, poll or epoll.
//
//   ByteHandler echo() {
//     return [](std::string_view in, std::string& out) { out += in; return Then::go_on; };
//   }
//   models::EventLoop{net::Listener::open(net::Address::parse("127.0.0.1:7")),
//                     Poller::Backend::poll}.run(echo);
#pragma once

#include "ipc/base/poller.hpp"
#include "servers/models/protocol.hpp"
#include "servers/models/server.hpp"
#include "servers/net/listener.hpp"

namespace procpool::models {

// One thread that asks the kernel which of its connections are ready, and calls the handlers of
// those: they must not block. select(2) knows no descriptor from 1,024 on: a client who gets such a
// one is refused, and that is logged. With Backend::epoll_edge each connection is read until there
// is nothing more, because the kernel tells of it once only.
class EventLoop : public Server {
 public:
  explicit EventLoop(net::Listener listener, Poller::Backend backend = Poller::Backend::epoll_level,
                     ServerOptions options = {});  // throws Error

  void run(const MakeByteHandler& make_handler);

 private:
  net::Listener listener_;
  Poller::Backend backend_;
};

}  // namespace procpool::models
