#include "servers/net/datagram_socket.hpp"

#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::net {
namespace {

using namespace std::chrono_literals;
using test::kPatience;

const Address kAnyPort = Address::parse("127.0.0.1:0");
const Address kGroup = Address::parse("239.255.47.11:0");

std::string text_of_next(const DatagramSocket& socket) {
  std::array<char, 65536> buffer;
  const auto got = socket.receive(buffer, Deadline::in(kPatience));
  return got ? std::string{buffer.data(), got->size} : "nothing";
}

std::string complaint_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

Address with_port(const std::string& host, const DatagramSocket& socket) {
  return Address::parse(host + ":" + std::to_string(socket.address().port()));
}

TEST(DatagramSocket, brings_whole_messages_and_their_senders) {
  const auto server = DatagramSocket::bind(kAnyPort);
  const auto client = DatagramSocket::bind(kAnyPort);
  for (const std::string text : {"one", "", "three"}) {
    EXPECT_EQ(client.try_send(text, server.address()), 0);
  }
  std::array<char, 16> buffer;
  for (const std::string text : {"one", "", "three"}) {
    const auto got = server.receive(buffer, Deadline::in(kPatience));
    ASSERT_TRUE(got);
    EXPECT_EQ(std::string(buffer.data(), got->size), text);
    EXPECT_EQ(got->from, client.address());
    EXPECT_FALSE(got->truncated);
  }
  EXPECT_FALSE(server.try_receive(buffer));
  EXPECT_FALSE(server.receive(buffer, Deadline::in(1ms)));
}

TEST(DatagramSocket, says_when_a_message_was_larger_than_the_buffer) {
  const auto server = DatagramSocket::bind(kAnyPort);
  DatagramSocket::open(AF_INET).try_send("too long", server.address());
  std::array<char, 3> buffer;
  const auto got = server.receive(buffer, Deadline::in(kPatience));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->size, 3U);
  EXPECT_TRUE(got->truncated);
}

TEST(DatagramSocket, refuses_a_message_that_no_datagram_can_hold) {
  const auto client = DatagramSocket::open(AF_INET);
  const auto server = DatagramSocket::bind(kAnyPort);
  const std::string largest(65507, 'x');
  EXPECT_EQ(client.try_send(largest, server.address()), 0);
  EXPECT_EQ(text_of_next(server).size(), largest.size());
  EXPECT_EQ(complaint_of([&] { client.try_send(largest + "x", server.address()); }),
            "send \"" + server.address().text() + "\": Message too long");
}

TEST(DatagramSocket, hears_of_a_missing_peer_only_when_it_is_connected) {
  const Address nobody = DatagramSocket::bind(kAnyPort).address();
  const auto client = DatagramSocket::open(AF_INET);
  EXPECT_EQ(client.try_send("hello?", nobody), 0);
  EXPECT_EQ(client.try_send("hello?", nobody), 0);
  auto connected = DatagramSocket::open(AF_INET);
  connected.connect(nobody);
  EXPECT_TRUE(test::eventually([&] { return connected.try_send("hello?") == ECONNREFUSED; }));
}

TEST(DatagramSocket, that_is_connected_receives_from_its_peer_alone) {
  auto client = DatagramSocket::bind(kAnyPort);
  const auto server = DatagramSocket::bind(kAnyPort);
  client.connect(server.address());
  DatagramSocket::open(AF_INET).try_send("spam", client.address());
  server.try_send("answer", client.address());
  EXPECT_EQ(text_of_next(client), "answer");
}

TEST(DatagramSocket, names_the_address_that_is_in_use) {
  const auto first = DatagramSocket::bind(kAnyPort);
  EXPECT_EQ(complaint_of([&] { DatagramSocket::bind(first.address()); }),
            "bind \"" + first.address().text() + "\": Address already in use");
}

TEST(DatagramSocket, broadcasts_only_when_that_is_allowed) {
  const auto server = DatagramSocket::bind(Address::parse("0.0.0.0:0"));
  const Address all = with_port("127.255.255.255", server);
  auto client = DatagramSocket::open(AF_INET);
  EXPECT_EQ(complaint_of([&] { client.try_send("all", all); }),
            "send \"" + all.text() + "\": Permission denied");
  client.allow_broadcast();
  EXPECT_EQ(client.try_send("all", all), 0);
  EXPECT_EQ(text_of_next(server), "all");
}

TEST(DatagramSocket, receives_what_is_sent_to_its_group_until_it_leaves) {
  auto one = DatagramSocket::bind_shared(Address::parse("0.0.0.0:0"));
  auto two = DatagramSocket::bind_shared(with_port("0.0.0.0", one));
  auto sender = DatagramSocket::open(AF_INET);
  sender.send_groups_by("lo");
  const Address group = with_port(kGroup.host(), one);
  one.join(kGroup, "lo");
  two.join(kGroup, "lo");
  ASSERT_EQ(sender.try_send("to both", group), 0);
  EXPECT_EQ(text_of_next(one), "to both");
  EXPECT_EQ(text_of_next(two), "to both");
  two.leave(kGroup, "lo");
  ASSERT_EQ(sender.try_send("to one", group), 0);
  EXPECT_EQ(text_of_next(one), "to one");
  EXPECT_EQ(complaint_of([&] { two.leave(kGroup, "lo"); }),
            "leave \"239.255.47.11 on lo\": Cannot assign requested address");
}

TEST(DatagramSocket, joins_no_group_on_an_interface_that_is_missing) {
  auto socket = DatagramSocket::bind(kAnyPort);
  EXPECT_EQ(complaint_of([&] { socket.join(kGroup, "none0"); }),
            "interface \"none0\": No such device");
  EXPECT_EQ(complaint_of([&] { socket.join(kAnyPort, "lo"); }),
            "join \"127.0.0.1 on lo\": Invalid argument");
}

TEST(DatagramSocket, of_unix_has_a_name_that_goes_with_it) {
  const test::TempDir folder;
  const auto path = folder.path() / "socket";
  const auto address = Address::parse("unix:" + path.string());
  {
    const auto server = DatagramSocket::bind(address);
    EXPECT_EQ(DatagramSocket::open(AF_UNIX).try_send("hello", address), 0);
    std::array<char, 16> buffer;
    const auto got = server.receive(buffer, Deadline::in(kPatience));
    ASSERT_TRUE(got);
    EXPECT_EQ(got->size, 5U);
    EXPECT_TRUE(got->from.is_unix());
    EXPECT_EQ(got->from.path(), "");
    EXPECT_THROW(DatagramSocket::bind(address), Error);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_EQ(DatagramSocket::open(AF_UNIX).try_send("hello", address), ENOENT);
}

TEST(DatagramSocket, of_unix_replaces_the_name_of_one_that_is_gone) {
  const test::TempDir folder;
  const auto path = folder.path() / "socket";
  const auto address = Address::parse("unix:" + path.string());
  {
    auto gone = DatagramSocket::bind(address);
    std::filesystem::rename(path, folder.path() / "kept");
  }
  std::filesystem::rename(folder.path() / "kept", path);
  auto server = DatagramSocket::bind(address);
  EXPECT_EQ(DatagramSocket::open(AF_UNIX).try_send("hello", address), 0);
  EXPECT_EQ(text_of_next(server), "hello");
}

}  // namespace
}  // namespace procpool::net
