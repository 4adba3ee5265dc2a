#include "servers/net/listener.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::net {
namespace {

constexpr pid_t kNobody = 0;

UniqueFd stream_socket(const Address& address) {
  UniqueFd socket{::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!socket.valid()) throw_errno("socket", address.text());
  return socket;
}

void set_option(int socket, int level, int name, int value, const Address& address) {
  if (::setsockopt(socket, level, name, &value, sizeof value) < 0) {
    throw_errno("setsockopt", address.text());
  }
}

int option_of(int socket, int name, const std::string& object) {
  int value = 0;
  socklen_t size = sizeof value;
  if (::getsockopt(socket, SOL_SOCKET, name, &value, &size) < 0) throw_errno("getsockopt", object);
  return value;
}

// Only an answer from the kernel that nobody listens makes a name stale, and only a socket's (a
// file refuses connections too); any doubt leaves it alone.
bool is_stale(const Address& address) {
  struct stat facts{};
  if (::lstat(address.path().c_str(), &facts) < 0 || !S_ISSOCK(facts.st_mode)) return false;
  const UniqueFd probe = stream_socket(address);
  return ::connect(probe.fd(), address.data(), address.size()) < 0 && errno == ECONNREFUSED;
}

void bind(int socket, const Address& address) {
  if (::bind(socket, address.data(), address.size()) == 0) return;
  const int error = errno;
  if (error == EADDRINUSE && address.is_unix() && is_stale(address)) {
    ::unlink(address.path().c_str());
    if (::bind(socket, address.data(), address.size()) == 0) return;
  }
  throw_errno("listen", address.text(), error);
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
    set_option(socket.fd(), SOL_SOCKET, SO_REUSEADDR, 1, address);
    set_option(socket.fd(), IPPROTO_TCP, TCP_NODELAY, 1, address);
  }
  if (address.family() == AF_INET6) set_option(socket.fd(), IPPROTO_IPV6, IPV6_V6ONLY, 0, address);
  if (group == Group::yes) set_option(socket.fd(), SOL_SOCKET, SO_REUSEPORT, 1, address);
  bind(socket.fd(), address);
  return socket;
}

Listener Listener::open(const Address& address, int backlog) {
  UniqueFd socket = bound_socket(address, Group::no);
  const Address bound = Address::local_of(socket.fd());
  Listener listener{std::move(socket), bound, ::getpid()};
  listener.listen(backlog);
  return listener;
}

// The first one has the option set only now: had it been bound with it, another server of this user
// could be bound to the address, too.
Listener Listener::open_beside() {
  set_option(fd(), SOL_SOCKET, SO_REUSEPORT, 1, address_);
  return Listener{bound_socket(address_, Group::yes), address_, ::getpid()};
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
  if (option_of(socket.fd(), SO_TYPE, name) != SOCK_STREAM ||
      option_of(socket.fd(), SO_ACCEPTCONN, name) == 0) {
    throw Error{"listen", "descriptor " + name, "is no stream socket that listens"};
  }
  set_blocking(socket.fd(), Blocking::no);
  if (::fcntl(socket.fd(), F_SETFD, FD_CLOEXEC) < 0) throw_errno("fcntl(F_SETFD)", name);
  const Address bound = Address::local_of(socket.fd());
  return Listener{std::move(socket), bound, kNobody};
}

Listener::Listener(UniqueFd socket, Address address, pid_t opener)
    : socket_{std::move(socket)}, address_{address}, opener_{opener} {
  struct stat name{};
  if (address_.is_unix() && ::lstat(address_.path().c_str(), &name) == 0) {
    device_ = name.st_dev;
    inode_ = name.st_ino;
  }
}

Listener::Listener(Listener&&) noexcept = default;

Listener& Listener::operator=(Listener&& other) noexcept {
  close();
  socket_ = std::move(other.socket_);
  address_ = other.address_;
  opener_ = other.opener_;
  device_ = other.device_;
  inode_ = other.inode_;
  return *this;
}

Listener::~Listener() {
  close();
}

void Listener::close() noexcept {
  if (socket_.valid() && address_.is_unix() && opener_ == ::getpid() && has_its_name()) {
    ::unlink(address_.path().c_str());
  }
  socket_.reset();
}

void Listener::own_name() noexcept {
  opener_ = ::getpid();
}

void Listener::disown_name() noexcept {
  opener_ = kNobody;
}

bool Listener::has_its_name() const noexcept {
  if (!address_.is_unix()) return true;
  struct stat name{};
  return ::lstat(address_.path().c_str(), &name) == 0 && name.st_dev == device_ &&
         name.st_ino == inode_;
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
