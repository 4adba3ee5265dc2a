// What the bare loops share: an answer that is never made anew, and where they listen.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"

namespace procpool::bench {

inline UniqueFd listen_on(std::uint16_t port) {
  UniqueFd listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!listener.valid()) throw_errno("socket");
  const int on = 1;
  ::setsockopt(listener.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(listener.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // inherited by accept(2)
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
      ::listen(listener.fd(), SOMAXCONN) < 0) {
    throw_errno("listen", std::to_string(port));
  }
  return listener;
}

inline std::size_t count_requests(std::string_view received) {
  using namespace std::string_view_literals;
  constexpr auto kEnd = "\r\n\r\n"sv;
  std::size_t count = 0;
  for (auto at = received.find(kEnd); at != received.npos; at = received.find(kEnd, at + 4)) {
    ++count;
  }
  return count;
}

// As many of the same as one buffer can ask for, in one piece.
struct Answers {
  static constexpr std::size_t kBuffer = 16384;  // of received requests, in bytes

  explicit Answers(const std::string& file) {
    constexpr std::size_t kMostRequestsAtOnce = kBuffer / 16;  // none is shorter
    const std::string body = read_file(file);
    const std::string answer =
        "HTTP/1.1 200 OK\r\nServer: bare\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        "Content-Type: application/octet-stream\r\nContent-Length: " +
        std::to_string(body.size()) +
        "\r\nLast-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\nETag: \"0-0\"\r\n\r\n" + body;
    size = answer.size();
    text.reserve(size * kMostRequestsAtOnce);
    for (std::size_t i = 0; i < kMostRequestsAtOnce; ++i) text += answer;
  }

  std::string_view to(std::string_view received) const {
    return std::string_view{text}.substr(0, count_requests(received) * size);
  }

  std::string text;
  std::size_t size = 0;  // of one
};

}  // namespace procpool::bench
