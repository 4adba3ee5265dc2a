// The floor of an HTTP server's costs: one recv and one send for what arrived, on level-triggered
// epoll, with an answer that is never made anew. It looks at nothing of a request but its end.
//
//   bare_loop PORT FILE          serves FILE on 127.0.0.1:PORT, whatever is asked for
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"

namespace {

using namespace std::string_view_literals;

procpool::UniqueFd listen_on(std::uint16_t port) {
  procpool::UniqueFd listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!listener.valid()) procpool::throw_errno("socket");
  const int on = 1;
  ::setsockopt(listener.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(listener.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // inherited by accept(2)
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
      ::listen(listener.fd(), SOMAXCONN) < 0) {
    procpool::throw_errno("listen", std::to_string(port));
  }
  return listener;
}

std::size_t count_requests(std::string_view received) {
  constexpr auto kEnd = "\r\n\r\n"sv;
  std::size_t count = 0;
  for (auto at = received.find(kEnd); at != received.npos; at = received.find(kEnd, at + 4)) {
    ++count;
  }
  return count;
}

void watch(int epoll, int fd) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) procpool::throw_errno("epoll_ctl");
}

// As many answers as there are whole requests in what has arrived; false at the connection's end.
bool serve(int connection, const std::string& answers, std::size_t answer_size) {
  std::array<char, 16384> buffer;
  const ssize_t n = ::recv(connection, buffer.data(), buffer.size(), 0);
  if (n <= 0) return false;
  const std::size_t count = count_requests({buffer.data(), static_cast<std::size_t>(n)});
  return ::send(connection, answers.data(), count * answer_size, MSG_NOSIGNAL) >= 0;
}

void run(std::uint16_t port, const std::string& file) {
  const std::string body = procpool::read_file(file);
  const std::string answer =
      "HTTP/1.1 200 OK\r\nServer: bare\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
      "Content-Type: application/octet-stream\r\nContent-Length: " +
      std::to_string(body.size()) +
      "\r\nLast-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\nETag: \"0-0\"\r\n\r\n" + body;
  constexpr std::size_t kMostRequestsAtOnce = 1024;  // of 16 bytes, in one buffer
  std::string answers;
  for (std::size_t i = 0; i < kMostRequestsAtOnce; ++i) answers += answer;

  const auto listener = listen_on(port);
  const procpool::UniqueFd epoll{::epoll_create1(EPOLL_CLOEXEC)};
  if (!epoll.valid()) procpool::throw_errno("epoll_create1");
  watch(epoll.fd(), listener.fd());
  std::array<epoll_event, 256> events;
  for (;;) {
    const int n = ::epoll_wait(epoll.fd(), events.data(), events.size(), -1);
    for (int i = 0; i < n; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == listener.fd()) {
        watch(epoll.fd(), ::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC));
      } else if (!serve(fd, answers, answer.size())) {
        procpool::UniqueFd{fd}.reset();
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::cerr << "usage: bare_loop PORT FILE\n";
    return 2;
  }
  run(static_cast<std::uint16_t>(std::atoi(argv[1])), argv[2]);
} catch (const std::exception& error) {
  std::cerr << "bare_loop: " << error.what() << '\n';
  return 1;
}
