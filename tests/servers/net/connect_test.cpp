#include "servers/net/connect.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <exception>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "servers/net/listener.hpp"
#include "servers/net/stream.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::net {
namespace {

using namespace std::chrono_literals;

// Its port is free again, and nobody listens there.
Address address_of_nobody() {
  return Listener::open(Address::parse("127.0.0.1:0")).address();
}

ConnectResult connect_in_loop(const Address& address, Deadline deadline) {
  Loop loop;
  ConnectResult result;
  TaskGroup tasks{[](const std::exception_ptr& problem) { std::rethrow_exception(problem); }};
  const auto run = [&]() -> Task<> { result = co_await connect(loop, address, deadline); };
  tasks.spawn(run());
  while (tasks.size() > 0) loop.run_once(Deadline::never());
  return result;
}

// A listener with no room in its queue: the kernel ignores who comes then.
class FullListener {
 public:
  explicit FullListener(const Address& where) : listener_{Listener::open(where, 0)} {
    for (int i = 0; i < 2; ++i) inside_.push_back(connect(listener_.address(), Deadline::now()));
  }
  const Address& address() const { return listener_.address(); }

 private:
  Listener listener_;
  std::vector<ConnectResult> inside_;
};

TEST(Connect, makes_a_socket_that_never_blocks) {
  const auto listener = Listener::open(Address::parse("127.0.0.1:0"));
  std::array both{connect(listener.address(), Deadline::in(20s)),
                  connect_in_loop(listener.address(), Deadline::in(20s))};
  for (const ConnectResult& made : both) {
    ASSERT_FALSE(made.failed());
    std::array<char, 1> byte{};
    EXPECT_EQ(::recv(made.socket.fd(), byte.data(), byte.size(), 0), -1);
    EXPECT_EQ(errno, EAGAIN);
  }
}

TEST(Connect, says_that_nobody_is_there) {
  const Address nobody = address_of_nobody();
  EXPECT_EQ(connect(nobody, Deadline::in(20s)).error, ECONNREFUSED);
  EXPECT_EQ(connect_in_loop(nobody, Deadline::in(20s)).error, ECONNREFUSED);
  const test::TempDir folder;
  const auto missing = Address::parse("unix:" + (folder.path() / "none").string());
  EXPECT_EQ(connect(missing, Deadline::in(20s)).error, ENOENT);
  EXPECT_FALSE(connect(missing, Deadline::in(20s)).socket.valid());
}

TEST(Connect, gives_up_at_the_deadline) {
  const FullListener full{Address::parse("127.0.0.1:0")};
  EXPECT_EQ(connect(full.address(), Deadline::in(10ms)).error, ETIMEDOUT);
  EXPECT_EQ(connect_in_loop(full.address(), Deadline::in(10ms)).error, ETIMEDOUT);
}

TEST(Connect, ends_one_direction_and_reads_on) {
  const auto listener = Listener::open(Address::parse("127.0.0.1:0"));
  Loop loop;
  ConnectResult made = connect(listener.address(), Deadline::in(20s));
  auto accepted = listener.try_accept();
  ASSERT_TRUE(std::holds_alternative<UniqueFd>(accepted));
  Stream near{loop, std::move(made.socket)};
  const UniqueFd far = std::move(std::get<UniqueFd>(accepted));
  near.shutdown_write();
  EXPECT_EQ(read_to_end(far.fd(), "far end"), "");
  write_full(far.fd(), "still here", "far end");
  std::string seen;
  std::array<char, 64> buffer;
  TaskGroup tasks{[](const std::exception_ptr& problem) { std::rethrow_exception(problem); }};
  const auto read = [&]() -> Task<> {
    const IoResult got = co_await near.read_some(buffer, Deadline::in(20s));
    seen.assign(buffer.data(), got.bytes);
  };
  tasks.spawn(read());
  while (tasks.size() > 0) loop.run_once(Deadline::never());
  EXPECT_EQ(seen, "still here");
}

}  // namespace
}  // namespace procpool::net
