#include "tools/ftp/control.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <memory>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "tools/ftp/failure.hpp"
#include "tools/ftp/names.hpp"

namespace procpool::ftp_client {
namespace {

[[noreturn]] void throw_no_connection(std::string_view operation, std::string_view object,
                                      std::string_view reason) {
  throw Failure{ExitCode::no_connection, operation, object, reason};
}

UniqueFd connect_to(const sockaddr* address, socklen_t size, int family, const std::string& name,
                    const Waiting& waiting) {
  UniqueFd socket{::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!socket.valid()) throw_errno("socket", name);
  if (::connect(socket.fd(), address, size) != 0) {
    if (errno != EINPROGRESS) throw_no_connection("connect", name, error_text(errno));
    waiting.for_events(socket.fd(), POLLOUT, "connect", name);
    int error = 0;
    socklen_t length = sizeof error;
    if (::getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
    if (error != 0) throw_no_connection("connect", name, error_text(error));
  }
  return socket;
}

UniqueFd connect_to_host(const std::string& host, const std::string& port, const Waiting& waiting) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (error != 0)
    throw_no_connection("look up", host,
                        error == EAI_SYSTEM ? error_text(errno) : ::gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all{found, &::freeaddrinfo};
  for (const addrinfo* at = found;; at = at->ai_next) {
    try {
      return connect_to(at->ai_addr, at->ai_addrlen, at->ai_family, host, waiting);
    } catch (const Interrupted&) {
      throw;
    } catch (const Failure&) {
      if (at->ai_next == nullptr) throw;
    }
  }
}

// RFC 959 §3.1 with RFC 854: 255 would be a Telnet command.
std::string telnet_line(std::string_view line) {
  std::string out;
  out.reserve(line.size() + 2);
  for (const char c : line) out.append(c == '\xff' ? 2 : 1, c);
  return out.append("\r\n");
}

bool is_secret(std::string_view line) {
  return line.starts_with("PASS ") || line.starts_with("ACCT ");
}

}  // namespace

UniqueFd connect_to(const net::Address& address, const Waiting& waiting) {
  return connect_to(address.data(), address.size(), address.family(), address.text(), waiting);
}

Control::Control(const std::string& host, const std::string& port, const Waiting& waiting,
                 Trace trace)
    : host_{host},
      waiting_{waiting},
      trace_{std::move(trace)},
      socket_{connect_to_host(host, port, waiting)} {}

void Control::send(std::string_view line) {
  if (!fits_a_line(line))
    throw Failure{ExitCode::usage, "send", printable(line),
                  "FTP has no way to say a line's end or a zero byte"};
  note("> " + (is_secret(line) ? std::string{line.substr(0, 4)} + " ****" : printable(line)));
  const std::string text = telnet_line(line);
  for (std::size_t sent = 0; sent < text.size();) {
    waiting_.for_events(socket_.fd(), POLLOUT, "send", host_);
    const ssize_t count =
        ::send(socket_.fd(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno != EAGAIN && errno != EINTR)
      throw_no_connection("send", host_, error_text(errno));
    sent += count > 0 ? static_cast<std::size_t>(count) : 0;
  }
}

Reply Control::receive() {
  return receive(waiting_.deadline());
}

Reply Control::receive(Deadline deadline) {
  std::array<char, 16384> buffer;
  for (;;) {
    if (auto reply = reader_.next()) {
      for (const std::string& line : reply->lines) note("< " + printable(line));
      if (reply->code == 421) throw_no_connection("talk to", host_, printable(reply->last()));
      return *std::move(reply);
    }
    waiting_.for_events(socket_.fd(), POLLIN, deadline, "await the reply of", host_);
    const ssize_t count = ::recv(socket_.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count == 0) throw_no_connection("talk to", host_, "the server has hung up");
    if (count < 0 && errno != EAGAIN && errno != EINTR)
      throw_no_connection("talk to", host_, error_text(errno));
    if (count > 0) reader_.feed({buffer.data(), static_cast<std::size_t>(count)});
  }
}

bool Control::is_quiet() const {
  return wait_ready(socket_.fd(), POLLIN, Deadline::now()) == 0;
}

}  // namespace procpool::ftp_client
