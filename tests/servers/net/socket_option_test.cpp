#include "servers/net/socket_option.hpp"

#include <cerrno>
#include <chrono>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/unique_fd.hpp"

namespace procpool::net {
namespace {

using namespace std::chrono_literals;

UniqueFd tcp_socket() {
  return UniqueFd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
}

template <typename T>
void expect_kept(const SocketOption<T>& option, T value) {
  const UniqueFd socket = tcp_socket();
  set_option(socket.fd(), option, value);
  EXPECT_EQ(get_option(socket.fd(), option), value) << option.name;
}

TEST(SocketOption, is_read_as_it_was_set) {
  expect_kept(kNoDelay, true);
  expect_kept(kReuseAddress, true);
  expect_kept(kKeepAlive, true);
  expect_kept(kKeepIdle, 42s);
  expect_kept(kUserTimeout, 1500ms);
  expect_kept(kLinger, Linger{.on = true, .seconds = 3});
  expect_kept(kLinger, Linger{.on = false, .seconds = 0});
  expect_kept(kReceiveTimeout, microseconds{2'500'000});
  expect_kept(kTimeToLive, 7);
}

TEST(SocketOption, of_a_buffer_is_what_the_kernel_made_of_it) {
  const UniqueFd socket = tcp_socket();
  set_option(socket.fd(), kReceiveBuffer, 8192);
  EXPECT_EQ(get_option(socket.fd(), kReceiveBuffer), 2 * 8192);  // socket(7): it is doubled
  EXPECT_EQ(get_option(socket.fd(), kType), SOCK_STREAM);
  EXPECT_FALSE(get_option(socket.fd(), kIsListening));
}

TEST(SocketOption, that_a_socket_does_not_know_is_named_in_the_error) {
  const UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  try {
    set_option(socket.fd(), kNoDelay, true);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "setsockopt \"TCP_NODELAY\": Operation not supported");
  }
  EXPECT_THROW(get_option(-1, kKeepAlive), Error);
}

}  // namespace
}  // namespace procpool::net
