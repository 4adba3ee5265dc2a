// The floor of an HTTP server's costs: one recv and one send for what arrived, on level-triggered
// epoll, with an answer that is never made anew. It looks at nothing of a request but its end.
//
//   bare_loop PORT FILE          serves FILE on 127.0.0.1:PORT, whatever is asked for
#include <sys/epoll.h>

#include <array>
#include <cstdlib>
#include <exception>
#include <iostream>

#include "tests/bench/bare_http.hpp"

namespace procpool::bench {
namespace {

void watch(int epoll, int fd) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) throw_errno("epoll_ctl");
}

// As many answers as there are whole requests in what has arrived; false at the connection's end.
bool serve(int connection, const Answers& answers) {
  std::array<char, Answers::kBuffer> buffer;
  const ssize_t n = ::recv(connection, buffer.data(), buffer.size(), 0);
  if (n <= 0) return false;
  const std::string_view answer = answers.to({buffer.data(), static_cast<std::size_t>(n)});
  return ::send(connection, answer.data(), answer.size(), MSG_NOSIGNAL) >= 0;
}

void run(std::uint16_t port, const std::string& file) {
  const Answers answers{file};
  const auto listener = listen_on(port);
  const UniqueFd epoll{::epoll_create1(EPOLL_CLOEXEC)};
  if (!epoll.valid()) throw_errno("epoll_create1");
  watch(epoll.fd(), listener.fd());
  std::array<epoll_event, 256> events;
  for (;;) {
    const int n = ::epoll_wait(epoll.fd(), events.data(), events.size(), -1);
    for (int i = 0; i < n; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == listener.fd()) {
        watch(epoll.fd(), ::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC));
      } else if (!serve(fd, answers)) {
        UniqueFd{fd}.reset();
      }
    }
  }
}

}  // namespace
}  // namespace procpool::bench

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::cerr << "usage: bare_loop PORT FILE\n";
    return 2;
  }
  procpool::bench::run(static_cast<std::uint16_t>(std::atoi(argv[1])), argv[2]);
} catch (const std::exception& error) {
  std::cerr << "bare_loop: " << error.what() << '\n';
  return 1;
}
