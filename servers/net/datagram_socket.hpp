// Datagrams: UDP, and Unix sockets of that kind.
//
//   auto server = DatagramSocket::bind(Address::parse("127.0.0.1:0"));
//   auto client = DatagramSocket::open(AF_INET);
//   client.try_send("hello", server.address());
//   std::array<char, 65536> buffer;
//   if (auto got = server.receive(buffer, Deadline::in(1s)))
//     server.try_send({buffer.data(), got->size}, got->from);
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ipc/base/deadline.hpp"
#include "ipc/base/unique_fd.hpp"
#include "servers/net/address.hpp"
#include "servers/net/detail/bound_name.hpp"

namespace procpool::net {

// Owns a non-blocking, close-on-exec datagram socket, and the name of a Unix one, which the process
// that bound it removes. Any number of threads and processes may send and receive: a datagram
// arrives whole, at one of them; or not at all, or twice, over UDP. Peers that are not there are
// normal work.
class DatagramSocket {
 public:
  // Unbound: the kernel gives it an address when it sends (UDP), or it has none (Unix), and cannot
  // be answered. AF_INET, AF_INET6, AF_UNIX. Throws Error.
  static DatagramSocket open(int family);

  // "[::]" receives IPv4 too. The name of a Unix socket that nobody has open any more is replaced.
  // Throws Error (EADDRINUSE, EACCES) naming the address. udp(7), unix(7).
  static DatagramSocket bind(const Address& address);

  // The same where several sockets may be bound at once: each gets what is sent to a group or to
  // all (SO_REUSEADDR, socket(7)).
  static DatagramSocket bind_shared(const Address& address);

  DatagramSocket(DatagramSocket&&) noexcept = default;
  DatagramSocket& operator=(DatagramSocket&&) noexcept;
  ~DatagramSocket();

  // From here on it receives from this peer alone, and sends to it by try_send(bytes). UDP hears
  // then that nobody is there (ECONNREFUSED, by ICMP). Throws Error. connect(2).
  void connect(const Address& peer);

  // Never blocks. 0: the kernel has taken it; or errno: EAGAIN (no room), ECONNREFUSED, ENOENT,
  // ENETUNREACH (nobody is there, or no way). Throws Error, naming the address: EMSGSIZE, when it
  // is larger than a datagram can be (UDP over IPv4: 65,507 bytes); EACCES: a broadcast, which was
  // not allowed.
  int try_send(std::string_view bytes, const Address& to) const;
  int try_send(std::string_view bytes) const;

  struct Received {
    std::size_t size;  // of it in the buffer
    Address from;
    bool truncated;  // it was larger than the buffer: the rest is gone
  };

  // Nothing: none is there. What the kernel reports of earlier ones (ECONNREFUSED) is passed over.
  // Throws Error only for misuse.
  std::optional<Received> try_receive(std::span<char> buffer) const;

  // The same, but waits until the deadline.
  std::optional<Received> receive(std::span<char> buffer, Deadline deadline) const;

  void allow_broadcast();  // to 255.255.255.255 and the like: SO_BROADCAST, ip(7)

  // What is sent to a multicast group arrives here too. The interface by its name ("lo"); empty:
  // the kernel chooses. Throws Error naming the group and the interface: there is none of that
  // name; the address is no group's. ip(7), ipv6(7).
  void join(const Address& group, const std::string& interface = {});
  void leave(const Address& group, const std::string& interface = {});

  // By which interface it sends to groups. Throws Error.
  void send_groups_by(const std::string& interface);

  int fd() const noexcept { return socket_.fd(); }
  Address address() const { return Address::local_of(fd()); }

 private:
  DatagramSocket(UniqueFd socket, const Address& address);
  enum class Membership { join, leave };
  void change_membership(const Address& group, const std::string& interface, Membership change);

  UniqueFd socket_;
  Address bound_;
  detail::BoundName name_;
};

}  // namespace procpool::net
