// Datagrams that are answered by datagrams.
//
//   std::optional<std::string> echo(std::string_view in, const net::Address&) {
//     return std::string{in};
//   }
//   models::DatagramServer{net::DatagramSocket::bind(net::Address::parse("127.0.0.1:7")),
//                          {.per_datagram = PerDatagram::thread}}.run(echo);
#pragma once

#include <cstdint>

#include "servers/models/protocol.hpp"
#include "servers/models/server.hpp"
#include "servers/net/datagram_socket.hpp"

namespace procpool::models {

// What each datagram gets.
enum class PerDatagram : std::uint8_t {
  turn,     // one after the other, in the thread of run()
  thread,   // as Python's ThreadingUDPServer does
  process,  // as ForkingUDPServer does: one that crashes costs its answer
};

struct DatagramOptions {
  PerDatagram per_datagram = PerDatagram::turn;
  ServerOptions server{};  // max_connections: datagrams that are being answered
};

// UDP or Unix. While as many as may be are being answered the others wait in the socket's buffer,
// which the kernel bounds: what does not fit is lost, as datagrams are. An answer for which there
// is no room, or nobody, is lost too. With `process` run() must be called in a process without
// other threads. When it stops, what was begun is finished, or given up after graceful_timeout; a
// thread that never comes back keeps run() from returning.
class DatagramServer : public Server {
 public:
  explicit DatagramServer(net::DatagramSocket socket, DatagramOptions options = {});

  void run(const DatagramHandler& handler);

 private:
  net::DatagramSocket socket_;
  PerDatagram per_datagram_;
};

}  // namespace procpool::models
