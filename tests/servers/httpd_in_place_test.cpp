// kill -USR2 of process 1, as in a container: the new program is executed in its place.
#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "proc/exit_status.hpp"
#include "servers/net/address.hpp"
#include "tests/support/contains.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/keep_alive_clients.hpp"
#include "tests/support/process_one.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {
namespace {

using namespace std::chrono_literals;
using proc::ExitStatus;

class UpgradeInPlace : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = ProgramInNamespace::why_not(); !why.empty()) GTEST_SKIP() << why;
  }

  // The server, and who it is.
  struct Container : HttpServer {
    explicit Container(const HttpServerSetup& setup) : HttpServer{setup} {}
    ProcessOne one{*this};
  };

  HttpServerSetup setup(const std::vector<std::string>& more = {}) const {
    HttpServerSetup result{.program = program_.start(),
                           .arguments = {"--pid-file", pid_file_, "--config", config_}};
    result.arguments.insert(result.arguments.end(), more.begin(), more.end());
    return result;
  }

  void expect_success(const Container& server) const {
    const HttpdRun result = program_.upgrade(server.one, pid_file_);
    EXPECT_EQ(result.status, ExitStatus::exited(0)) << result.errors << server.errors();
    EXPECT_EQ(result.output, "process 1 runs the new program\n");
  }
  void expect_failure(const Container& server, const std::string& why) const {
    const HttpdRun result = program_.upgrade(server.one, pid_file_);
    EXPECT_EQ(result.status, ExitStatus::exited(1)) << server.errors();
    EXPECT_TRUE(contains(result.errors, "nothing has changed: ")) << result.errors;
    EXPECT_TRUE(contains(result.errors, why)) << result.errors << server.errors();
  }

  static void make_page(const HttpServer& server) {
    std::ofstream{server.root() / "page"} << "hello";
  }
  static std::string page_of(const HttpServer& server) {
    return HttpClient{server.port()}.get("/page").body;
  }

  ProgramInNamespace program_{httpd_program()};
  TempDir dir_;
  std::string pid_file_ = dir_.path() / "httpd.pid";
  std::string config_ = [this] {
    const std::string path = dir_.path() / "httpd.toml";
    std::ofstream{path} << "workers = 2\n";
    return path;
  }();
};

class UpgradeInPlaceWith : public UpgradeInPlace,
                           public testing::WithParamInterface<std::string> {};

INSTANTIATE_TEST_SUITE_P(, UpgradeInPlaceWith,
                         testing::Values("shared", "reuseport", "lock", "pass"),
                         [](const auto& each) { return each.param; });

TEST_P(UpgradeInPlaceWith, this_accept_strategy_again_and_again_loses_no_request) {
  Container server{setup({"--accept", GetParam()})};
  make_page(server);
  const auto address = net::Address::parse("127.0.0.1:" + std::to_string(server.port()));
  KeepAliveClients clients{{.server = address,
                            .target = "/page",
                            .body = "hello",
                            .connections = 16,
                            .longest_pause = 2ms}};
  for (int i = 0; i < 3; ++i) {
    clients.await_answers(50);
    const std::set<pid_t> before = server.one.children();
    expect_success(server);
    EXPECT_TRUE(server.one.await_children(2)) << server.errors();
    for (const pid_t pid : server.one.children()) EXPECT_FALSE(before.contains(pid));
  }
  clients.await_answers(50);
  const ClientCounts counts = clients.stop();
  EXPECT_EQ(counts.lost, 0U) << counts << server.errors();
  EXPECT_EQ(counts.closed_idle, 0U) << counts;
  EXPECT_EQ(counts.wrong, 0U) << counts;
  EXPECT_EQ(counts.refused, 0U) << counts;
  EXPECT_EQ(server.one.stop(SIGTERM), ExitStatus::exited(0)) << server.errors();
  EXPECT_FALSE(std::filesystem::exists(pid_file_));
}

TEST_F(UpgradeInPlace, goes_on_counting) {
  const Container server{setup({"--status", "/status"})};
  make_page(server);
  for (int i = 0; i < 20; ++i) page_of(server);
  expect_success(server);
  EXPECT_TRUE(server.one.await_children(2));
  const std::string metrics = HttpClient{server.port()}.get("/status/metrics").body;
  const std::string name = "\nprocpool_httpd_requests_total ";
  const auto at = metrics.find(name);
  ASSERT_NE(at, metrics.npos) << metrics;
  EXPECT_GE(std::stoi(metrics.substr(at + name.size())), 20);
}

TEST_F(UpgradeInPlace, to_what_fails_its_trial_changes_nothing) {
  const Container server{setup()};
  make_page(server);
  const std::set<pid_t> before = server.one.children();
  program_.replace("echo it is broken >&2; exit 3");
  expect_failure(server, "it is broken");
  program_.replace("kill -9 $$");
  expect_failure(server, "killed by SIGKILL");
  program_.replace("exec /nonexistent");
  expect_failure(server, "not found");
  EXPECT_EQ(server.one.children(), before);
  EXPECT_EQ(page_of(server), "hello");
}

TEST_F(UpgradeInPlace, to_what_declines_after_all_ends_with_the_old_program_in_its_place) {
  const Container server{setup()};
  make_page(server);
  const auto address = net::Address::parse("127.0.0.1:" + std::to_string(server.port()));
  KeepAliveClients clients{
      {.server = address, .target = "/page", .body = "hello", .connections = 8}};
  program_.replace_for_good("exec " + httpd_program() + " --bogus");
  for (int i = 0; i < 2; ++i) {
    clients.await_answers(50);
    expect_failure(server, "\"--bogus\": unknown option");
    EXPECT_TRUE(server.one.await_children(2));
  }
  EXPECT_TRUE(server.await_error("the program before is in its place again"));
  program_.restore();
  expect_success(server);
  clients.await_answers(50);
  const ClientCounts counts = clients.stop();
  EXPECT_EQ(counts.lost, 0U) << counts << server.errors();
  EXPECT_EQ(counts.closed_idle, 0U) << counts;
}

TEST_F(UpgradeInPlace, to_what_cannot_start_a_worker_ends_with_the_old_program_in_its_place) {
  const Container server{setup()};
  make_page(server);
  const auto address = net::Address::parse("127.0.0.1:" + std::to_string(server.port()));
  KeepAliveClients clients{
      {.server = address, .target = "/page", .body = "hello", .connections = 8}};
  program_.replace_for_good(std::string{"exec "} + PROCPOOL_BARREN_HTTPD + " \"$@\"");
  for (int i = 0; i < 2; ++i) {
    clients.await_answers(50);
    expect_failure(server, "there is nothing to serve");
    EXPECT_TRUE(server.one.await_children(2));
  }
  program_.restore();
  expect_success(server);
  clients.await_answers(50);
  const ClientCounts counts = clients.stop();
  EXPECT_EQ(counts.lost, 0U) << counts << server.errors();
  EXPECT_EQ(counts.closed_idle, 0U) << counts;
}

// Nothing but this would let the old program start again.
TEST_F(UpgradeInPlace, that_fails_leaves_the_configuration_that_was_in_use) {
  const Container server{setup()};
  make_page(server);
  program_.replace_for_good("echo 'root = 5' >" + config_ + "; exec " + httpd_program() +
                            " \"$@\"");
  expect_failure(server, "\"root\": must be a string");
  EXPECT_TRUE(server.one.await_children(2));
  EXPECT_EQ(page_of(server), "hello");
}

TEST_F(UpgradeInPlace, leaves_the_name_of_a_unix_socket_also_if_it_fails) {
  const std::string path = dir_.path() / "socket";
  HttpServerSetup with_socket = setup();
  with_socket.listen = {"127.0.0.1:0", "unix:" + path};
  Container server{with_socket};
  make_page(server);
  program_.replace_for_good("exec " + httpd_program() + " --bogus");
  expect_failure(server, "--bogus");
  program_.restore();
  expect_success(server);
  const HttpdRun curl =
      run_program({"curl", "-sS", "--unix-socket", path, "http://localhost/page"});
  EXPECT_EQ(curl.output, "hello") << curl.errors;
  EXPECT_EQ(server.one.stop(SIGTERM), ExitStatus::exited(0));
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace procpool::test
