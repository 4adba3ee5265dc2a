#include "servers/net/listener.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/net/socket_option.hpp"

namespace procpool::net {
namespace {

UniqueFd stream_socket(const Address& address) {
  UniqueFd socket{::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!socket.valid()) throw_errno("socket", address.text());
  return socket;
}

bool left_while_waiting(int error) noexcept {
  // accept(2), "Error handling": network errors of the new connection are passed on by accept.
  switch (error) {
    case ECONNABORTED:
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case EPERM:
    case EINTR:
      return true;
    default:
      return false;
  }
}

}  // namespace

UniqueFd Listener::bound_socket(const Address& address, Group group) {
  UniqueFd socket = stream_socket(address);
  if (!address.is_unix()) {
    set_option(socket.fd(), kReuseAddress, true);
    set_option(socket.fd(), kNoDelay, true);
  }
  if (address.family() == AF_INET6) set_option(socket.fd(), kOnlyIpv6, false);
  if (group == Group::yes) set_option(socket.fd(), kReusePort, true);
  detail::bind_socket(socket.fd(), address, SOCK_STREAM, "listen");
  return socket;
}

Listener Listener::open(const Address& address, int backlog) {
  UniqueFd socket = bound_socket(address, Group::no);
  const Address bound = Address::local_of(socket.fd());
  Listener listener{std::move(socket), bound, detail::BoundName::Owner::this_process};
  listener.listen(backlog);
  return listener;
}

// The first one has the option set only now: had it been bound with it, another server of this user
// could be bound to the address, too.
Listener Listener::open_beside() {
  set_option(fd(), kReusePort, true);
  return Listener{bound_socket(address_, Group::yes), address_,
                  detail::BoundName::Owner::this_process};
}

void Listener::listen(int backlog) {
  if (::listen(fd(), backlog) < 0) throw_errno("listen", address_.text());
}

bool Listener::is_listening() const noexcept {
  int listens = 0;
  socklen_t size = sizeof listens;
  return ::getsockopt(fd(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0;
}

Listener Listener::adopt(UniqueFd socket) {
  const std::string name = std::to_string(socket.fd());
  if (get_option(socket.fd(), kType) != SOCK_STREAM || !get_option(socket.fd(), kIsListening)) {
    throw Error{"listen", "descriptor " + name, "is no stream socket that listens"};
  }
  set_blocking(socket.fd(), Blocking::no);
  if (::fcntl(socket.fd(), F_SETFD, FD_CLOEXEC) < 0) throw_errno("fcntl(F_SETFD)", name);
  const Address bound = Address::local_of(socket.fd());
  return Listener{std::move(socket), bound, detail::BoundName::Owner::somebody_else};
}

Listener::Listener(UniqueFd socket, const Address& address, detail::BoundName::Owner owner)
    : socket_{std::move(socket)}, address_{address}, name_{address, owner} {}

Listener::Listener(Listener&&) noexcept = default;

Listener& Listener::operator=(Listener&& other) noexcept {
  close();
  socket_ = std::move(other.socket_);
  address_ = other.address_;
  name_ = other.name_;
  return *this;
}

Listener::~Listener() {
  close();
}

void Listener::close() noexcept {
  if (socket_.valid()) name_.remove(address_);
  socket_.reset();
}

void Listener::own_name() noexcept {
  name_.own();
}

void Listener::disown_name() noexcept {
  name_.disown();
}

bool Listener::has_its_name() const noexcept {
  return name_.is_there(address_);
}

std::variant<UniqueFd, int> Listener::try_accept() const {
  for (;;) {
    const int fd = ::accept4(socket_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) return UniqueFd{fd};
    if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK) {
      throw_errno("accept", address_.text());
    }
    if (!left_while_waiting(errno)) return errno;
  }
}

}  // namespace procpool::net
