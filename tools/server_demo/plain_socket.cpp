#include "tools/server_demo/plain_socket.hpp"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <thread>

#include "ipc/base/deadline.hpp"
#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/net/socket_option.hpp"

namespace procpool::server_demo {
namespace {

int ask_for_bytes(int socket, unsigned long request, std::string_view name) {
  int bytes = 0;
  if (::ioctl(socket, request, &bytes) < 0) throw_errno(name);
  return bytes;
}

}  // namespace

UniqueFd open_socket(int family, int type, int protocol) {
  UniqueFd socket{::socket(family, type | SOCK_CLOEXEC, protocol)};
  if (!socket.valid()) throw_errno("socket");
  return socket;
}

UniqueFd listen_on_loopback(int backlog) {
  UniqueFd socket = open_socket(AF_INET, SOCK_STREAM);
  const net::Address address = any_loopback_port();
  if (::bind(socket.fd(), address.data(), address.size()) < 0) throw_errno("bind", address.text());
  if (::listen(socket.fd(), backlog) < 0) throw_errno("listen", address.text());
  return socket;
}

UniqueFd connect_to(const net::Address& address) {
  UniqueFd socket = open_socket(address.family(), SOCK_STREAM);
  if (retry_eintr([&] { return ::connect(socket.fd(), address.data(), address.size()); }) < 0) {
    throw_errno("connect", address.text());
  }
  return socket;
}

UniqueFd accept_from(int listener) {
  UniqueFd socket{retry_eintr([&] { return ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC); })};
  if (!socket.valid()) throw_errno("accept");
  return socket;
}

Ends tcp_pair() {
  const UniqueFd listener = listen_on_loopback();
  UniqueFd client = connect_to(net::Address::local_of(listener.fd()));
  return {.client = std::move(client), .server = accept_from(listener.fd())};
}

void send_all(int socket, std::string_view bytes) {
  write_full(socket, bytes, "socket");
}

std::string receive(int socket, std::size_t most) {
  std::string bytes(most, '\0');
  const ssize_t count = retry_eintr([&] { return ::recv(socket, bytes.data(), bytes.size(), 0); });
  if (count < 0) throw_errno("recv");
  bytes.resize(static_cast<std::size_t>(count));
  return bytes;
}

int error_of(long result) {
  return result < 0 ? errno : 0;
}

void await_bytes(int socket, int bytes) {
  net::set_option(socket, net::kReceiveLowWater, bytes);
  const bool there = wait_ready(socket, POLLIN, Deadline::in(kPatience)) != 0;
  net::set_option(socket, net::kReceiveLowWater, 1);
  if (!there) throw_errno("await", "bytes", ETIMEDOUT);
}

int unread_bytes(int socket) {
  return ask_for_bytes(socket, FIONREAD, "FIONREAD");
}

int unsent_bytes(int socket) {
  return ask_for_bytes(socket, SIOCOUTQ, "SIOCOUTQ");
}

void await(std::string_view what, const std::function<bool()>& is_so) {
  const auto deadline = Deadline::in(kPatience);
  while (!is_so()) {
    if (deadline.expired()) throw_errno("await", what, ETIMEDOUT);
    std::this_thread::sleep_for(std::chrono::microseconds{200});
  }
}

}  // namespace procpool::server_demo
