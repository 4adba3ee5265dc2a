// Basic authentication: what clients send, and files of users.
#include "servers/http/basic_authentication.hpp"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "servers/models/password.hpp"

namespace procpool::http {
namespace {

constexpr auto kRfcAuthorization = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";

bool admits(Guard& guard, std::string_view value) {
  Request request;
  EXPECT_TRUE(request.fields.add({"Authorization", value}));
  return guard.admits(request);
}

TEST(BasicCredentials, are_read_as_in_the_RFC) {
  const auto credentials = parse_basic_credentials(kRfcAuthorization);
  ASSERT_TRUE(credentials);
  EXPECT_EQ(credentials->name, "Aladdin");
  EXPECT_EQ(credentials->password, "open sesame");
  EXPECT_EQ(parse_basic_credentials("bAsIc  dTpwOnA")->password, "p:p");
  EXPECT_EQ(parse_basic_credentials("Basic Og==")->name, "");
}

TEST(BasicCredentials, that_are_broken_are_none) {
  for (const std::string_view value :
       {"", "Basic", "Basic ", "Bearer dTpw", "Basicd dTpw", "Basic dXA=", "Basic dTpw=",
        "Basic dTp", "Basic d", "Basic dT*w", "Basic dTpw dTpw", "Basic AAA6AA==", "Basic dT=pw"}) {
    EXPECT_EQ(parse_basic_credentials(value).has_value(), value == "Basic dTp") << value;
  }
}

TEST(Users, are_lines_of_name_and_hash) {
  const std::string hash = models::hash_password("x");
  const Users users = parse_users("# comment\n\na:" + hash + "\n  b:" + hash + "\r\n", "f");
  EXPECT_EQ(users.size(), 2u);
  EXPECT_EQ(users.find("a")->second, hash);
}

TEST(Users, that_are_wrong_are_named_with_their_line) {
  const auto complaint = [](std::string_view text) -> std::string {
    try {
      parse_users(text, "f");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  const std::string hash = models::hash_password("x");
  EXPECT_TRUE(complaint("\nname\n").starts_with("f:2")) << complaint("\nname\n");
  EXPECT_TRUE(complaint(":" + hash).starts_with("f:1"));
  EXPECT_TRUE(complaint("a:plain text").starts_with("f:1"));
  EXPECT_TRUE(complaint("a:*").starts_with("f:1"));
  EXPECT_TRUE(complaint("a:" + hash + "\na:" + hash).starts_with("f:2"));
}

TEST(Guard, admits_who_knows_the_password) {
  Guard guard{parse_users("Aladdin:" + models::hash_password("open sesame"), "f"), "cave"};
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(admits(guard, kRfcAuthorization));
    EXPECT_FALSE(admits(guard, "Basic QWxhZGRpbjpvcGVuIHNlc2FtYQ=="));
    EXPECT_FALSE(admits(guard, "Basic dTpw"));
    EXPECT_FALSE(admits(guard, ""));
    EXPECT_FALSE(guard.admits(Request{}));
  }
  EXPECT_EQ(guard.challenge(), "WWW-Authenticate: Basic realm=\"cave\", charset=\"UTF-8\"\r\n");
}

TEST(Password, has_another_hash_each_time) {
  EXPECT_NE(models::hash_password("x"), models::hash_password("x"));
}

}  // namespace
}  // namespace procpool::http
