// Where procpool-httpd can be reached.
#include <sys/socket.h>
#include <sys/un.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/unique_fd.hpp"
#include "servers/net/address.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {
namespace {

using net::Address;
using proc::ExitStatus;

bool has_ipv6() {
  const UniqueFd socket{::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const Address loopback = Address::parse("[::1]:0");
  return socket.valid() && ::bind(socket.fd(), loopback.data(), loopback.size()) == 0;
}

int status_at(const std::string& address) {
  return HttpClient{Address::parse(address)}.get("/none").status;
}

TEST(Listen, at_several_addresses) {
  const TempDir dir;
  const std::string unix_address = "unix:" + (dir.path() / "socket").string();
  const HttpServer server{{.listen = {"127.0.0.1:0", unix_address, "127.0.0.2:0"}}};
  ASSERT_EQ(server.urls().size(), 3u);
  EXPECT_EQ(server.urls()[0], "http://127.0.0.1:" + std::to_string(server.port_of(0)) + "/");
  EXPECT_EQ(server.urls()[1], unix_address);
  EXPECT_EQ(status_at("127.0.0.1:" + std::to_string(server.port_of(0))), 404);
  EXPECT_EQ(status_at("127.0.0.2:" + std::to_string(server.port_of(2))), 404);
  EXPECT_EQ(status_at(unix_address), 404);
}

TEST(Listen, at_the_same_address_twice_is_refused) {
  const HttpServer server;
  const std::string taken = "127.0.0.1:" + std::to_string(server.port());
  const HttpdRun run = run_httpd({"--listen", "127.0.0.1:0", "--listen", taken});
  EXPECT_EQ(run.status, ExitStatus::exited(1)) << run.errors;
}

TEST(Listen, at_both_families_of_addresses_with_one_socket) {
  if (!has_ipv6()) GTEST_SKIP() << "no IPv6 here";
  for (const std::string any : {"[::]:0", "*:0"}) {
    const HttpServer server{{.listen = {any}}};
    const std::string port = std::to_string(server.port());
    EXPECT_EQ(server.urls()[0], "http://[::]:" + port + "/");
    EXPECT_EQ(status_at("[::1]:" + port), 404);
    EXPECT_EQ(status_at("127.0.0.1:" + port), 404);
  }
}

TEST(Listen, at_one_IPv6_address) {
  if (!has_ipv6()) GTEST_SKIP() << "no IPv6 here";
  const HttpServer server{{.listen = {"[::1]:0"}}};
  EXPECT_EQ(status_at("[::1]:" + std::to_string(server.port())), 404);
}

class UnixSocket : public testing::Test {
 protected:
  TempDir dir_;
  std::filesystem::path path_ = dir_.path() / "socket";
  std::string address_ = "unix:" + path_.string();
};

TEST_F(UnixSocket, serves_curl) {
  const HttpServer server{{.listen = {address_}}};
  std::ofstream{server.root() / "file"} << "text";
  const HttpdRun run = run_program(
      {"curl", "--silent", "--show-error", "--fail", "--unix-socket", path_, "http://a/file"});
  EXPECT_EQ(run.output, "text") << run.errors;
}

TEST_F(UnixSocket, is_removed_at_the_end) {
  HttpServer server{{.listen = {address_}}};
  EXPECT_TRUE(std::filesystem::is_socket(path_));
  EXPECT_EQ(server.stop(), ExitStatus::exited(0));
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(UnixSocket, that_a_dead_server_left_is_replaced) {
  {
    const UniqueFd dead{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    ASSERT_TRUE(dead.valid());
    const Address address = Address::parse(address_);
    ASSERT_EQ(::bind(dead.fd(), address.data(), address.size()), 0);
    ASSERT_EQ(::listen(dead.fd(), 1), 0);
  }
  ASSERT_TRUE(std::filesystem::is_socket(path_));
  const HttpServer server{{.listen = {address_}}};
  EXPECT_EQ(status_at(address_), 404);
}

TEST_F(UnixSocket, of_a_living_server_is_left_alone) {
  const HttpServer server{{.listen = {address_}}};
  const HttpdRun run = run_httpd({"--listen", address_});
  EXPECT_EQ(run.status, ExitStatus::exited(1));
  EXPECT_NE(run.errors.find("Address already in use"), std::string::npos) << run.errors;
  EXPECT_EQ(status_at(address_), 404);
}

TEST_F(UnixSocket, does_not_replace_a_file) {
  std::ofstream{path_} << "precious";
  EXPECT_EQ(run_httpd({"--listen", address_}).status, ExitStatus::exited(1));
  EXPECT_TRUE(std::filesystem::is_regular_file(path_));
}

}  // namespace
}  // namespace procpool::test
