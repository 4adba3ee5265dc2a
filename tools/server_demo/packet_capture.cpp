#include "tools/server_demo/packet_capture.hpp"

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <bit>
#include <cerrno>
#include <string_view>

#include "ipc/base/deadline.hpp"
#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/net/byte_order.hpp"
#include "tools/server_demo/plain_socket.hpp"

namespace procpool::server_demo {
namespace {

constexpr std::size_t kPortOffset = ETH_HLEN + 20 + 2;  // of the destination, without IP options

// Only what goes to the port: others on loopback are nobody's business. bpf(4) in words: load the
// two bytes of the port; if they are equal take the packet, else take nothing.
void attach_filter(int socket, std::uint16_t port) {
  std::array<sock_filter, 4> program{
      {{.code = BPF_LD | BPF_H | BPF_ABS, .jt = 0, .jf = 0, .k = kPortOffset},
       {.code = BPF_JMP | BPF_JEQ | BPF_K, .jt = 0, .jf = 1, .k = port},
       {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 0xffff},
       {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 0}}};
  const sock_fprog filter{.len = program.size(), .filter = program.data()};
  if (::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0) {
    throw_errno("setsockopt", "SO_ATTACH_FILTER");
  }
}

void listen_on_interface(int socket, const char* name) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = net::in_order<std::uint16_t>(ETH_P_IP, std::endian::big);
  address.sll_ifindex = static_cast<int>(::if_nametoindex(name));
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
    throw_errno("bind", name);
  }
}

}  // namespace

// Protocol 0: nothing arrives before the filter is there and the interface is bound.
PacketCapture::PacketCapture(std::uint16_t port)
    : socket_{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)} {
  if (!socket_.valid()) {
    if (errno == EPERM || errno == EACCES) return;
    throw_errno("socket", "AF_PACKET");
  }
  attach_filter(socket_.fd(), port);
  listen_on_interface(socket_.fd(), "lo");
}

HeaderSizes PacketCapture::await_data(std::size_t bytes) {
  const auto deadline = Deadline::in(kPatience);
  std::array<char, 2048> packet;
  while (wait_ready(socket_.fd(), POLLIN, deadline) != 0) {
    const ssize_t size = ::recv(socket_.fd(), packet.data(), packet.size(), 0);
    if (size < 0) throw_errno("recv", "packet");
    constexpr std::size_t kBytesAWord = 4;
    const std::string_view ip{packet.data() + ETH_HLEN, packet.size() - ETH_HLEN};
    const std::size_t ip_header = static_cast<std::size_t>(ip[0] & 0x0f) * kBytesAWord;
    const auto length = net::read_number<std::uint16_t>(ip.substr(2), std::endian::big);
    const auto tcp_words =
        static_cast<std::size_t>(static_cast<unsigned char>(ip[ip_header + 12]) >> 4);
    const HeaderSizes headers{
        .ethernet = ETH_HLEN, .ip = ip_header, .tcp = tcp_words * kBytesAWord};
    if (length == headers.ip + headers.tcp + bytes) return headers;
  }
  throw_errno("await", "packet", ETIMEDOUT);
}

}  // namespace procpool::server_demo
