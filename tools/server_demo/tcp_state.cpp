#include "tools/server_demo/tcp_state.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <sstream>
#include <string>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/net/address.hpp"
#include "tools/server_demo/plain_socket.hpp"

namespace procpool::server_demo {
namespace {

constexpr std::array<std::string_view, 12> kStates{
    "none",      "ESTABLISHED", "SYN_SENT",   "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2",
    "TIME_WAIT", "CLOSE",       "CLOSE_WAIT", "LAST_ACK", "LISTEN",    "CLOSING"};

constexpr int kHexadecimal = 16;

std::uint16_t port_in(const std::string& address) {
  const std::string port = address.substr(address.find(':') + 1);
  return static_cast<std::uint16_t>(std::stoul(port, nullptr, kHexadecimal));
}

}  // namespace

tcp_info info_of(int socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) < 0) {
    throw_errno("getsockopt", "TCP_INFO");
  }
  return info;
}

std::string_view name_of_state(unsigned state) {
  return state < kStates.size() ? kStates.at(state) : "unknown";
}

std::string_view state_of(int socket) {
  return name_of_state(info_of(socket).tcpi_state);
}

void await_state(int socket, unsigned state) {
  await(name_of_state(state), [&] { return info_of(socket).tcpi_state == state; });
}

PortPair PortPair::of(int socket) {
  return {.own = net::Address::local_of(socket).port(),
          .other = net::Address::peer_of(socket).port()};
}

bool waits_out(const PortPair& connection) {
  std::istringstream lines{read_file("/proc/net/tcp")};
  std::string line;
  std::getline(lines, line);  // the titles
  while (std::getline(lines, line)) {
    std::istringstream fields{line};
    std::string number;
    std::string local;  // "0100007F:1F90"
    std::string remote;
    std::string state;
    fields >> number >> local >> remote >> state;
    if (PortPair{.own = port_in(local), .other = port_in(remote)} == connection &&
        std::stoul(state, nullptr, kHexadecimal) == TCP_TIME_WAIT) {
      return true;
    }
  }
  return false;
}

}  // namespace procpool::server_demo
