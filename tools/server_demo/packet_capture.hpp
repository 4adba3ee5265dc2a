// Packets as they leave: what each layer has put before the data. packet(7).
//
//   PacketCapture capture{port};                     // invalid: not permitted, needs CAP_NET_RAW
//   const auto headers = capture.await_data(5);      // of the next packet with 5 bytes of data
#pragma once

#include <cstddef>
#include <cstdint>

#include "ipc/base/unique_fd.hpp"

namespace procpool::server_demo {

struct HeaderSizes {
  std::size_t ethernet;
  std::size_t ip;
  std::size_t tcp;
  std::size_t all() const { return ethernet + ip + tcp; }
};

// Owns a socket that sees what is sent on loopback to one TCP port over IPv4.
class PacketCapture {
 public:
  explicit PacketCapture(std::uint16_t port);  // throws Error, but for a missing permission

  bool is_permitted() const noexcept { return socket_.valid(); }

  // Passes over packets with more or fewer bytes of data. Throws Error (ETIMEDOUT).
  HeaderSizes await_data(std::size_t bytes);

 private:
  UniqueFd socket_;
};

}  // namespace procpool::server_demo
