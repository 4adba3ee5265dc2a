// What a service manager hears: the socket of NOTIFY_SOCKET, sd_notify(3).
//
//   ServiceManager manager{dir.path() / "notify"};
//   notifier.ready();
//   EXPECT_EQ(manager.hears(), "READY=1");
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"
#include "tests/support/eventually.hpp"

namespace procpool::test {

class ServiceManager {
 public:
  // A path, or an abstract name with '@' before it.
  explicit ServiceManager(std::string address) : address_{std::move(address)} {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::copy(address_.begin(), address_.end(), std::begin(name.sun_path));
    if (address_.front() == '@') name.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
    EXPECT_EQ(::bind(socket_.fd(), reinterpret_cast<const sockaddr*>(&name), size), 0);
  }

  const std::string& address() const { return address_; }

  // The next message; "nothing" if there is none now.
  std::string hears() {
    std::array<char, 4096> text{};
    const ssize_t n = ::recv(socket_.fd(), text.data(), text.size(), MSG_DONTWAIT);
    return n < 0 ? "nothing" : std::string{text.data(), static_cast<std::size_t>(n)};
  }

  // The same, but waits for one that begins so, and passes over others. Empty: it did not come.
  std::string awaits(const std::string& begin) {
    const Deadline patience = Deadline::in(kPatience);
    while (wait_ready(socket_.fd(), POLLIN, patience) != 0) {
      const std::string message = hears();
      if (message.starts_with(begin)) return message;
    }
    return {};
  }

 private:
  std::string address_;
  UniqueFd socket_{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
};

}  // namespace procpool::test
