#include "servers/net/resolve.hpp"

#include <string>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"

namespace procpool::net {
namespace {

const ResolveOptions kNumeric{.numeric = true};

std::string complaint_about(const std::string& host, const std::string& service) {
  try {
    resolve(host, service, kNumeric);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

TEST(Resolve, makes_addresses_of_numbers) {
  EXPECT_EQ(resolve("127.0.0.1", "80", kNumeric).front(), Address::parse("127.0.0.1:80"));
  EXPECT_EQ(resolve("::1", "8080", kNumeric).front(), Address::parse("[::1]:8080"));
}

TEST(Resolve, knows_this_machine) {
  EXPECT_EQ(resolve("localhost", "7", {.family = AF_INET}).front(), Address::parse("127.0.0.1:7"));
  EXPECT_EQ(resolve("", "7", {.family = AF_INET, .passive = true}).front(),
            Address::parse("0.0.0.0:7"));
}

TEST(Resolve, says_what_is_wrong_and_of_what) {
  EXPECT_EQ(complaint_about("no.address", "80"),
            "resolve \"no.address:80\": Name or service not known");
  EXPECT_EQ(complaint_about("127.0.0.1", "no-such-service"),
            "resolve \"127.0.0.1:no-such-service\": Servname not supported for ai_socktype");
}

TEST(Names, are_numbers_if_that_is_asked_for) {
  const Names names = names_of(Address::parse("[::1]:4711"), kNumeric);
  EXPECT_EQ(names.host, "::1");
  EXPECT_EQ(names.service, "4711");
}

TEST(Names, are_found_for_this_machine) {
  EXPECT_FALSE(names_of(Address::parse("127.0.0.1:1")).host.empty());
}

}  // namespace
}  // namespace procpool::net
