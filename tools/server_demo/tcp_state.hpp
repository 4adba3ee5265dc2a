// What the kernel says of a TCP connection: tcp(7), TCP_INFO; proc(5), /proc/net/tcp.
//
//   await_state(socket.fd(), TCP_CLOSE_WAIT);
//   stage.say("is in ", state_of(socket.fd()));
#pragma once

#include <netinet/tcp.h>

#include <cstdint>
#include <string_view>

namespace procpool::server_demo {

tcp_info info_of(int socket);  // throws Error

std::string_view name_of_state(unsigned state);  // "ESTABLISHED"
std::string_view state_of(int socket);           // throws Error

void await_state(int socket, unsigned state);  // throws Error (ETIMEDOUT)

// The two ends of a connection on loopback, one of them as the own one.
struct PortPair {
  std::uint16_t own;
  std::uint16_t other;

  static PortPair of(int socket);  // throws Error
  friend bool operator==(const PortPair&, const PortPair&) = default;
};

// Whether that end of an IPv4 connection is in TIME_WAIT: no process has it any more, the kernel
// keeps it.
bool waits_out(const PortPair& connection);

}  // namespace procpool::server_demo
