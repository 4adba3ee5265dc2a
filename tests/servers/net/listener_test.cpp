#include "servers/net/listener.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::net {
namespace {

UniqueFd connect_to(const Address& address) {
  UniqueFd socket{::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!socket.valid() || ::connect(socket.fd(), address.data(), address.size()) < 0) return {};
  return socket;
}

UniqueFd accept_one(const Listener& listener) {
  wait_ready(listener.fd(), POLLIN, Deadline::never());
  return std::get<UniqueFd>(listener.try_accept());
}

TEST(Listener, is_given_a_port_by_the_kernel) {
  const auto listener = Listener::open(Address::parse("127.0.0.1:0"));
  EXPECT_NE(listener.address().port(), 0);
  const UniqueFd client = connect_to(listener.address());
  ASSERT_TRUE(client.valid());
  const UniqueFd server = accept_one(listener);
  EXPECT_EQ(Address::peer_of(server.fd()), Address::local_of(client.fd()));
}

TEST(Listener, says_that_nobody_waits_instead_of_blocking) {
  const auto listener = Listener::open(Address::parse("127.0.0.1:0"));
  EXPECT_EQ(std::get<int>(listener.try_accept()), EAGAIN);
}

TEST(Listener, accepts_sockets_that_neither_block_nor_survive_exec) {
  const auto listener = Listener::open(Address::parse("127.0.0.1:0"));
  const UniqueFd client = connect_to(listener.address());
  const UniqueFd server = accept_one(listener);
  EXPECT_NE(::fcntl(server.fd(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(server.fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(Listener, names_the_address_that_is_taken) {
  const auto listener = Listener::open(Address::parse("127.0.0.1:0"));
  const std::string taken = listener.address().text();
  try {
    Listener::open(listener.address());
    FAIL() << "two listeners on " << taken;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), std::errc::address_in_use);
    EXPECT_EQ(error.object(), taken);
  }
}

TEST(Listener, serves_both_families_on_the_dual_stack_address) {
  const auto listener = Listener::open(Address::parse("*:0"));
  const std::string port = std::to_string(listener.address().port());
  const UniqueFd by_v4 = connect_to(Address::parse("127.0.0.1:" + port));
  ASSERT_TRUE(by_v4.valid());
  EXPECT_EQ(Address::peer_of(accept_one(listener).fd()).host(), "127.0.0.1");
  const UniqueFd by_v6 = connect_to(Address::parse("[::1]:" + port));
  ASSERT_TRUE(by_v6.valid());
  EXPECT_EQ(Address::peer_of(accept_one(listener).fd()).host(), "::1");
}

TEST(Listener, removes_the_name_of_its_unix_socket) {
  const test::TempDir dir;
  const auto path = dir.path() / "x.sock";
  {
    const auto listener = Listener::open(Address::parse("unix:" + path.string()));
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Listener, leaves_the_name_to_the_process_that_opened_it) {
  const test::TempDir dir;
  const auto path = dir.path() / "x.sock";
  auto listener = Listener::open(Address::parse("unix:" + path.string()));
  test::Forked child{[&] { listener.close(); }};
  EXPECT_EQ(child.wait(), test::exited(0));
  EXPECT_TRUE(connect_to(listener.address()).valid());
}

TEST(Listener, takes_over_the_name_of_a_unix_socket_whose_owner_was_killed) {
  const test::TempDir dir;
  const auto address = Address::parse("unix:" + (dir.path() / "x.sock").string());
  test::Forked killed{[&] {
    const auto listener = Listener::open(address);
    ::kill(::getpid(), SIGKILL);
  }};
  EXPECT_EQ(killed.wait(), test::killed_by(SIGKILL));
  ASSERT_TRUE(std::filesystem::exists(address.path()));
  const auto listener = Listener::open(address);
  EXPECT_TRUE(connect_to(address).valid());
}

TEST(Listener, leaves_a_unix_socket_alone_on_which_somebody_listens) {
  const test::TempDir dir;
  const auto address = Address::parse("unix:" + (dir.path() / "x.sock").string());
  const auto first = Listener::open(address);
  EXPECT_THROW(Listener::open(address), Error);
  EXPECT_TRUE(connect_to(address).valid());
}

TEST(Listener, leaves_a_name_that_is_another_sockets_by_now) {
  const test::TempDir dir;
  const auto address = Address::parse("unix:" + (dir.path() / "x.sock").string());
  auto first = Listener::open(address);
  EXPECT_TRUE(first.has_its_name());
  std::filesystem::remove(address.path());
  const auto second = Listener::open(address);
  EXPECT_FALSE(first.has_its_name());
  first.close();
  EXPECT_TRUE(connect_to(address).valid());
}

TEST(Listener, that_is_adopted_leaves_the_name_to_whom_it_belongs_until_it_is_its_own) {
  const test::TempDir dir;
  const auto address = Address::parse("unix:" + (dir.path() / "x.sock").string());
  auto first = Listener::open(address);
  auto second = Listener::adopt(UniqueFd{::fcntl(first.fd(), F_DUPFD_CLOEXEC, 0)});
  EXPECT_EQ(second.address(), address);
  EXPECT_TRUE(second.has_its_name());
  {
    const auto third = Listener::adopt(UniqueFd{::fcntl(first.fd(), F_DUPFD_CLOEXEC, 0)});
  }
  first.disown_name();
  first.close();
  const UniqueFd client = connect_to(address);
  EXPECT_TRUE(client.valid());
  EXPECT_TRUE(accept_one(second).valid());
  second.own_name();
  second.close();
  EXPECT_FALSE(std::filesystem::exists(address.path()));
}

TEST(Listener, that_is_adopted_never_blocks_and_is_closed_by_exec) {
  UniqueFd socket{::socket(AF_INET, SOCK_STREAM, 0)};
  ASSERT_TRUE(socket.valid());
  ASSERT_EQ(::listen(socket.fd(), 1), 0);
  const auto listener = Listener::adopt(std::move(socket));
  EXPECT_EQ(std::get<int>(listener.try_accept()), EAGAIN);
  EXPECT_EQ(::fcntl(listener.fd(), F_GETFD), FD_CLOEXEC);
}

TEST(Listener, adopts_nothing_but_a_stream_socket_that_listens) {
  const auto adopt = [](UniqueFd fd) {
    try {
      Listener::adopt(std::move(fd));
    } catch (const Error& error) {
      return std::string{error.what()};
    }
    return std::string{};
  };
  EXPECT_NE(adopt(UniqueFd{::socket(AF_INET, SOCK_STREAM, 0)}).find("that listens"),
            std::string::npos);
  EXPECT_NE(adopt(UniqueFd{::socket(AF_INET, SOCK_DGRAM, 0)}).find("that listens"),
            std::string::npos);
  EXPECT_NE(adopt(UniqueFd{::open("/dev/null", O_RDONLY)}).find("non-socket"), std::string::npos);
}

TEST(Listener, does_not_remove_a_file_that_is_no_socket) {
  const test::TempDir dir;
  const auto path = dir.path() / "precious";
  {
    const UniqueFd file{::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)};
  }
  EXPECT_THROW(Listener::open(Address::parse("unix:" + path.string())), Error);
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(Listener, shares_its_address_with_a_second_socket_from_when_that_listens) {
  for (const char* address : {"127.0.0.1:0", "[::1]:0", "[::]:0"}) {
    auto first = Listener::open(Address::parse(address));
    auto second = first.open_beside();
    EXPECT_TRUE(first.is_listening());
    EXPECT_FALSE(second.is_listening());
    EXPECT_EQ(second.address(), first.address());

    std::vector<UniqueFd> clients;
    clients.reserve(110);
    const auto accept_all = [](const Listener& listener) {
      std::size_t count = 0;
      while (std::holds_alternative<UniqueFd>(listener.try_accept())) ++count;
      return count;
    };
    for (int i = 0; i < 10; ++i) clients.push_back(connect_to(first.address()));
    EXPECT_EQ(accept_all(first), 10u);
    second.listen();
    EXPECT_TRUE(second.is_listening());
    for (int i = 0; i < 100; ++i) clients.push_back(connect_to(first.address()));
    const std::size_t of_first = accept_all(first);
    const std::size_t of_second = accept_all(second);
    EXPECT_EQ(of_first + of_second, 100u);
    EXPECT_GT(of_first, 0u);
    EXPECT_GT(of_second, 0u);
    EXPECT_THROW(Listener::open(first.address()), Error) << "it is no address for other servers";
  }
}

}  // namespace
}  // namespace procpool::net
