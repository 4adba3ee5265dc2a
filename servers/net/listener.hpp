// A listening socket.
//
//   auto listener = Listener::open(Address::parse("127.0.0.1:0"));
//   listener.address().port();                       // the one the kernel chose
//   auto accepted = listener.try_accept();           // never blocks
#pragma once

#include <variant>

#include "ipc/base/unique_fd.hpp"
#include "servers/net/address.hpp"
#include "servers/net/detail/bound_name.hpp"

namespace procpool::net {

// Owns a bound, listening, non-blocking stream socket, and the name of a Unix one. Children of fork
// may accept from it too; only the process that opened it removes a Unix socket's name, when the
// object is destroyed. Connections that wait in the kernel's queue are lost only when the last
// process that holds the socket closes it.
class Listener {
 public:
  // Binds and listens. SO_REUSEADDR, so that a restart is not refused because of old connections;
  // TCP_NODELAY, which accepted sockets inherit on Linux; "[::]" listens for IPv4 too. The name of
  // a Unix socket on which nobody listens any more is replaced. Throws Error (EADDRINUSE, EACCES)
  // naming the address. socket(7), tcp(7), unix(7).
  static Listener open(const Address& address, int backlog = 4096);

  // A socket that listens already, opened by somebody else: made non-blocking and close-on-exec.
  // The name of a Unix one stays the other's. Throws Error if it is no listening stream socket.
  static Listener adopt(UniqueFd socket);

  Listener(Listener&&) noexcept;
  Listener& operator=(Listener&&) noexcept;
  ~Listener();

  // A second socket of this TCP address: between those of one address the kernel distributes new
  // connections (SO_REUSEPORT, socket(7)), while an address that another server has is refused as
  // ever. It is bound, and gets none until listen(). Throws Error.
  Listener open_beside();

  void listen(int backlog = 4096);  // what does so already goes on; throws Error
  bool is_listening() const noexcept;

  // A connection (non-blocking, close-on-exec), or why there is none: EAGAIN (nobody waits), or
  // what accept4(2) says when resources are short (EMFILE, ENFILE, ENOBUFS, ENOMEM). Clients that
  // left while they waited are passed over. Never blocks; throws Error only for misuse (EBADF).
  std::variant<UniqueFd, int> try_accept() const;

  void close() noexcept;  // as the destructor does; it may be called again

  // Whose it is to remove the name of a Unix socket: this process's, or somebody else's.
  void own_name() noexcept;
  void disown_name() noexcept;

  // Whether clients find this socket by its address: a Unix one's name may have been removed or
  // replaced.
  bool has_its_name() const noexcept;

  int fd() const noexcept { return socket_.fd(); }
  const Address& address() const noexcept { return address_; }  // with the port that was chosen

 private:
  Listener(UniqueFd socket, const Address& address, detail::BoundName::Owner owner);
  enum class Group { no, yes };
  static UniqueFd bound_socket(const Address& address, Group group);
  UniqueFd socket_;
  Address address_;
  detail::BoundName name_;
};

}  // namespace procpool::net
