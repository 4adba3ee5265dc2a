#include "servers/net/datagram_socket.hpp"

#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/net/socket_option.hpp"

namespace procpool::net {
namespace {

UniqueFd datagram_socket(int family) {
  UniqueFd socket{::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!socket.valid()) throw_errno("socket", "datagram");
  if (family == AF_INET6) set_option(socket.fd(), kOnlyIpv6, false);
  return socket;
}

// What befalls a datagram, and is nobody's mistake.
int outcome_of_send(const Address* to, int error) {
  if (error != EMSGSIZE && error != EACCES && error != EBADF && error != EDESTADDRREQ) return error;
  throw_errno("send", to != nullptr ? to->text() : "datagram", error);
}

int number_of(const std::string& interface) {
  if (interface.empty()) return 0;
  const unsigned number = ::if_nametoindex(interface.c_str());
  if (number == 0) throw_errno("interface", interface);
  return static_cast<int>(number);
}

}  // namespace

DatagramSocket::DatagramSocket(UniqueFd socket, const Address& address)
    : socket_{std::move(socket)},
      bound_{address},
      name_{address, detail::BoundName::Owner::this_process} {}

DatagramSocket DatagramSocket::open(int family) {
  UniqueFd socket = datagram_socket(family);
  const Address nobody = Address::local_of(socket.fd());
  return {std::move(socket), nobody};
}

DatagramSocket DatagramSocket::bind(const Address& address) {
  UniqueFd socket = datagram_socket(address.family());
  detail::bind_socket(socket.fd(), address, SOCK_DGRAM, "bind");
  const Address bound = Address::local_of(socket.fd());
  return {std::move(socket), bound};
}

DatagramSocket DatagramSocket::bind_shared(const Address& address) {
  UniqueFd socket = datagram_socket(address.family());
  set_option(socket.fd(), kReuseAddress, true);
  detail::bind_socket(socket.fd(), address, SOCK_DGRAM, "bind");
  const Address bound = Address::local_of(socket.fd());
  return {std::move(socket), bound};
}

DatagramSocket& DatagramSocket::operator=(DatagramSocket&& other) noexcept {
  std::swap(socket_, other.socket_);
  std::swap(bound_, other.bound_);
  std::swap(name_, other.name_);
  return *this;
}

DatagramSocket::~DatagramSocket() {
  if (socket_.valid()) name_.remove(bound_);
}

void DatagramSocket::connect(const Address& peer) {
  if (::connect(fd(), peer.data(), peer.size()) < 0) throw_errno("connect", peer.text());
}

int DatagramSocket::try_send(std::string_view bytes, const Address& to) const {
  const ssize_t n = retry_eintr([&] {
    return ::sendto(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL, to.data(), to.size());
  });
  return n < 0 ? outcome_of_send(&to, errno) : 0;
}

int DatagramSocket::try_send(std::string_view bytes) const {
  const ssize_t n =
      retry_eintr([&] { return ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL); });
  return n < 0 ? outcome_of_send(nullptr, errno) : 0;
}

std::optional<DatagramSocket::Received> DatagramSocket::try_receive(std::span<char> buffer) const {
  sockaddr_storage from{};
  iovec data{.iov_base = buffer.data(), .iov_len = buffer.size()};
  for (;;) {
    msghdr header{};
    header.msg_name = &from;
    header.msg_namelen = sizeof from;
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    const ssize_t n = ::recvmsg(fd(), &header, 0);
    if (n >= 0) {
      if (header.msg_namelen == 0) {  // a Unix socket without a name
        from.ss_family = AF_UNIX;
        header.msg_namelen = sizeof from.ss_family;
      }
      return Received{
          .size = static_cast<std::size_t>(n),
          .from = Address::of(reinterpret_cast<const sockaddr&>(from), header.msg_namelen),
          .truncated = (header.msg_flags & MSG_TRUNC) != 0};
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return std::nullopt;
    if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK || errno == EFAULT) {
      throw_errno("receive", "datagram");
    }
  }
}

std::optional<DatagramSocket::Received> DatagramSocket::receive(std::span<char> buffer,
                                                                Deadline deadline) const {
  for (;;) {
    auto received = try_receive(buffer);
    if (received || wait_ready(fd(), POLLIN, deadline) == 0) return received;
  }
}

void DatagramSocket::allow_broadcast() {
  set_option(fd(), kBroadcast, true);
}

void DatagramSocket::join(const Address& group, const std::string& interface) {
  change_membership(group, interface, Membership::join);
}

void DatagramSocket::leave(const Address& group, const std::string& interface) {
  change_membership(group, interface, Membership::leave);
}

void DatagramSocket::change_membership(const Address& group, const std::string& interface,
                                       Membership change) {
  const int number = number_of(interface);
  const bool joins = change == Membership::join;
  int result = 0;
  if (group.family() == AF_INET) {
    ip_mreqn request{};
    request.imr_multiaddr = reinterpret_cast<const sockaddr_in*>(group.data())->sin_addr;
    request.imr_ifindex = number;
    result = ::setsockopt(fd(), IPPROTO_IP, joins ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP,
                          &request, sizeof request);
  } else {
    ipv6_mreq request{};
    request.ipv6mr_multiaddr = reinterpret_cast<const sockaddr_in6*>(group.data())->sin6_addr;
    request.ipv6mr_interface = static_cast<unsigned>(number);
    result = ::setsockopt(fd(), IPPROTO_IPV6, joins ? IPV6_ADD_MEMBERSHIP : IPV6_DROP_MEMBERSHIP,
                          &request, sizeof request);
  }
  if (result == 0) return;
  std::string object = group.host();
  if (!interface.empty()) object.append(" on ").append(interface);
  throw_errno(joins ? "join" : "leave", object);
}

void DatagramSocket::send_groups_by(const std::string& interface) {
  const int number = number_of(interface);
  const bool is_ipv4 = bound_.family() == AF_INET;
  ip_mreqn request{};
  request.imr_ifindex = number;
  const int result =
      is_ipv4 ? ::setsockopt(fd(), IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request)
              : ::setsockopt(fd(), IPPROTO_IPV6, IPV6_MULTICAST_IF, &number, sizeof number);
  if (result < 0) throw_errno("setsockopt", is_ipv4 ? "IP_MULTICAST_IF" : "IPV6_MULTICAST_IF");
}

}  // namespace procpool::net
