#include "servers/net/address.hpp"

#include <sys/socket.h>

#include <string>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"

namespace procpool::net {
namespace {

TEST(Address, reads_back_what_it_writes) {
  for (const std::string text : {"127.0.0.1:8080", "0.0.0.0:0", "[::1]:80", "[::]:65535",
                                 "[2001:db8::1]:443", "unix:/run/x.sock", "unix:relative"}) {
    EXPECT_EQ(Address::parse(text).text(), text);
  }
}

TEST(Address, knows_the_short_forms) {
  EXPECT_EQ(Address::parse("*:80").text(), "[::]:80");
  EXPECT_EQ(Address::parse("localhost:80").text(), "127.0.0.1:80");
}

TEST(Address, shows_the_host_alone_for_logs) {
  EXPECT_EQ(Address::parse("127.0.0.1:8080").host(), "127.0.0.1");
  EXPECT_EQ(Address::parse("[::1]:8080").host(), "::1");
  EXPECT_EQ(Address::parse("[::ffff:192.0.2.1]:80").host(), "192.0.2.1");
  EXPECT_EQ(Address::parse("unix:/x").host(), "unix");
}

TEST(Address, says_what_is_wrong_with_a_text) {
  for (const std::string text :
       {"", "8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:80x",
        "example.org:80", "256.0.0.1:80", "::1:80", "[::1:80", "[127.0.0.1]:80", "unix:"}) {
    try {
      Address::parse(text);
      FAIL() << "accepted: " << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.object(), text);
    }
  }
}

TEST(Address, refuses_a_path_that_does_not_fit_the_kernel) {
  const std::string longest(107, 'x');
  EXPECT_EQ(Address::parse("unix:" + longest).path(), longest);
  EXPECT_THROW(Address::parse("unix:" + longest + "x"), Error);
}

TEST(Address, is_equal_to_the_same_address) {
  EXPECT_EQ(Address::parse("[0:0::1]:80"), Address::parse("[::1]:80"));
  EXPECT_NE(Address::parse("[::1]:80"), Address::parse("[::1]:81"));
}

}  // namespace
}  // namespace procpool::net
