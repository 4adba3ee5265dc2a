#include "servers/net/connect.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/net/socket_option.hpp"
#include "servers/net/wait.hpp"

namespace procpool::net {
namespace {

// EINPROGRESS: it is writable when it has come to an end. After EINTR it goes on, too.
ConnectResult begin(const Address& address) {
  UniqueFd socket{::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!socket.valid()) throw_errno("socket", address.text());
  if (::connect(socket.fd(), address.data(), address.size()) == 0) {
    return {.socket = std::move(socket)};
  }
  const int error = errno == EINTR ? EINPROGRESS : errno;
  if (error != EINPROGRESS) return {.error = error};
  return {.socket = std::move(socket), .error = error};
}

ConnectResult end(ConnectResult begun, bool in_time) {
  begun.error = in_time ? get_option(begun.socket.fd(), kError) : ETIMEDOUT;
  if (begun.failed()) begun.socket.reset();
  return begun;
}

}  // namespace

ConnectResult connect(const Address& address, Deadline deadline) {
  ConnectResult begun = begin(address);
  if (begun.error != EINPROGRESS) return begun;
  const bool in_time = wait_ready(begun.socket.fd(), POLLOUT, deadline) != 0;
  return end(std::move(begun), in_time);
}

Task<ConnectResult> connect(Loop& loop, Address address, Deadline deadline) {
  ConnectResult begun = begin(address);
  if (begun.error != EINPROGRESS) co_return begun;
  const bool in_time = co_await ready(loop, begun.socket.fd(), Interest::write, deadline);
  co_return end(std::move(begun), in_time);
}

}  // namespace procpool::net
