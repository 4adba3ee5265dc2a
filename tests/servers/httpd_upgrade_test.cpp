// kill -USR2: another program takes over, and nobody notices.
#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "proc/pid_file.hpp"
#include "servers/net/address.hpp"
#include "tests/support/children.hpp"
#include "tests/support/contains.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/keep_alive_clients.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {
namespace {

using namespace std::chrono_literals;
using proc::ExitStatus;

// A server whose program can be replaced, by the name it was started with. Its successors end with
// the test.
class Upgrade : public testing::Test {
 protected:
  Upgrade() { std::filesystem::create_symlink(httpd_program(), program_); }
  ~Upgrade() override {
    const auto holder = proc::read_pid_file(pid_file_);
    if (holder) ::kill(*holder, SIGINT);
    EXPECT_TRUE(await_no_children());
  }

  HttpServerSetup setup() const {
    return {.program = program_,
            .arguments = {"--workers", "2", "--pid-file", pid_file_, "--config", config_}};
  }
  HttpdRun upgrade() const { return run_httpd({"upgrade", "--pid-file", pid_file_}); }
  pid_t holder() const { return proc::read_pid_file(pid_file_).value_or(0); }

  // What USR2 starts from here on.
  void replace_program(const std::string& script) const {
    const std::string fresh = program_ + ".new";
    std::ofstream{fresh} << "#!/bin/sh\n" << script << "\n";
    std::filesystem::permissions(fresh, std::filesystem::perms{0755});
    std::filesystem::rename(fresh, program_);
  }

  static std::string page_of(const HttpServer& server) {
    HttpClient client{server.port()};
    return client.get("/page").body;
  }
  static void make_page(const HttpServer& server) {
    std::ofstream{server.root() / "page"} << "hello";
  }

  void expect_nothing_changed(const HttpServer& server) const {
    EXPECT_EQ(holder(), server.pid());
    EXPECT_EQ(read_file(pid_file_), std::to_string(server.pid()) + "\n");
    EXPECT_TRUE(eventually([&] { return server.worker_pids().size() == 2U; }));
    EXPECT_EQ(page_of(server), "hello");
  }

  TempDir dir_;
  std::string program_ = dir_.path() / "httpd";
  std::string pid_file_ = dir_.path() / "httpd.pid";
  std::string config_ = [this] {
    const std::string path = dir_.path() / "httpd.toml";
    std::ofstream{path} << "idle-timeout = 30\n";
    return path;
  }();
};

class UpgradeWith : public Upgrade, public testing::WithParamInterface<std::string> {};

INSTANTIATE_TEST_SUITE_P(, UpgradeWith,
                         testing::Values("shared", "reuseport", "lock", "file-lock", "pass"),
                         [](const auto& each) {
                           std::string name = each.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST_P(UpgradeWith, this_accept_strategy_again_and_again_loses_no_request) {
  HttpServerSetup with_strategy = setup();
  with_strategy.arguments.insert(with_strategy.arguments.end(), {"--accept", GetParam()});
  HttpServer server{with_strategy};
  make_page(server);
  KeepAliveClients clients{
      {.server = net::Address::parse("127.0.0.1:" + std::to_string(server.port())),
       .target = "/page",
       .body = "hello",
       .connections = 16,
       .longest_pause = 2ms}};
  pid_t before = server.pid();
  for (int i = 0; i < 5; ++i) {
    clients.await_answers(50);
    const HttpdRun result = upgrade();
    ASSERT_EQ(result.status, ExitStatus::exited(0)) << result.errors << server.errors();
    const pid_t now = holder();
    EXPECT_EQ(result.output, "process " + std::to_string(now) + " has taken over from process " +
                                 std::to_string(before) + "\n");
    EXPECT_EQ(read_file(pid_file_), std::to_string(now) + "\n");
    before = now;
  }
  clients.await_answers(50);
  const ClientCounts counts = clients.stop();
  EXPECT_EQ(counts.lost, 0U) << counts << server.errors();
  EXPECT_EQ(counts.closed_idle, 0U) << counts;
  EXPECT_EQ(counts.wrong, 0U) << counts;
  EXPECT_EQ(counts.refused, 0U) << counts;
  EXPECT_EQ(server.process().wait(), ExitStatus::exited(0)) << server.errors();
}

TEST_F(Upgrade, runs_the_program_that_has_its_name_now) {
  const HttpServer server{setup()};
  replace_program("echo started anew >&2; exec " + httpd_program() + " \"$@\"");
  EXPECT_EQ(upgrade().status, ExitStatus::exited(0));
  EXPECT_TRUE(contains(server.errors(), "started anew"));
}

TEST_F(Upgrade, keeps_the_name_of_a_unix_socket_until_the_last_server_ends) {
  const std::string path = dir_.path() / "socket";
  HttpServerSetup with_socket = setup();
  with_socket.listen = {"127.0.0.1:0", "unix:" + path};
  HttpServer server{with_socket};
  make_page(server);
  EXPECT_EQ(upgrade().status, ExitStatus::exited(0));
  EXPECT_EQ(server.process().wait(), ExitStatus::exited(0));
  const HttpdRun curl =
      run_program({"curl", "-sS", "--unix-socket", path, "http://localhost/page"});
  EXPECT_EQ(curl.output, "hello") << curl.errors;
  EXPECT_EQ(run_httpd({"stop", "--pid-file", pid_file_}).status, ExitStatus::exited(0));
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(std::filesystem::exists(pid_file_));
}

TEST_F(Upgrade, leaves_no_name_of_a_unix_socket_that_the_new_configuration_does_not_have) {
  const std::string path = dir_.path() / "socket";
  std::ofstream{config_} << "listen = [\"127.0.0.1:0\", \"unix:" << path << "\"]\n";
  HttpServerSetup by_file = setup();
  by_file.listen = {};
  HttpServer server{by_file};
  std::ofstream{config_} << "listen = [\"127.0.0.1:0\"]\n";
  EXPECT_EQ(upgrade().status, ExitStatus::exited(0));
  EXPECT_EQ(server.process().wait(), ExitStatus::exited(0));
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(Upgrade, goes_on_counting) {
  const HttpServer server{[&] {
    HttpServerSetup built_in = setup();
    built_in.built_in_site = true;
    return built_in;
  }()};
  HttpClient client{server.port()};
  for (int i = 0; i < 51; ++i) client.get("/");  // what was before the last is counted
  EXPECT_EQ(upgrade().status, ExitStatus::exited(0));
  const std::string metrics = HttpClient{server.port()}.get("/metrics").body;
  for (const char* metric : {"requests_total", "request_duration_seconds_count",
                             "request_duration_seconds_bucket{le=\"+Inf\"}"}) {
    const std::string name = std::string{"\nprocpool_httpd_"} + metric + " ";
    const auto at = metrics.find(name);
    ASSERT_NE(at, metrics.npos) << name << " is not in:\n" << metrics;
    EXPECT_GE(std::stoi(metrics.substr(at + name.size())), 50) << name;
  }
}

TEST_F(Upgrade, to_a_configuration_that_is_wrong_says_so_and_changes_nothing) {
  const HttpServer server{setup()};
  make_page(server);
  std::ofstream{config_} << "idle-timeout = 30\nroot = 5\n";
  const HttpdRun failed = upgrade();
  EXPECT_EQ(failed.status, ExitStatus::exited(1));
  EXPECT_TRUE(contains(failed.errors, "nothing has changed: ")) << failed.errors;
  EXPECT_TRUE(contains(failed.errors, "httpd.toml:2:8 \"root\": must be a string"))
      << failed.errors;
  expect_nothing_changed(server);
  std::ofstream{config_} << "idle-timeout = 30\n";
  EXPECT_EQ(upgrade().status, ExitStatus::exited(0));
}

TEST_F(Upgrade, to_a_program_that_dies_changes_nothing) {
  const HttpServer server{setup()};
  make_page(server);
  replace_program("kill -9 $$");
  const HttpdRun failed = upgrade();
  EXPECT_EQ(failed.status, ExitStatus::exited(1));
  EXPECT_TRUE(contains(failed.errors, "the new program ended before it served")) << failed.errors;
  expect_nothing_changed(server);
}

TEST_F(Upgrade, to_a_program_that_is_not_there_changes_nothing) {
  const HttpServer server{setup()};
  make_page(server);
  std::filesystem::remove(program_);
  const HttpdRun failed = upgrade();
  EXPECT_EQ(failed.status, ExitStatus::exited(1));
  EXPECT_TRUE(contains(failed.errors, "No such file or directory")) << failed.errors;
  expect_nothing_changed(server);
}

TEST_F(Upgrade, that_fails_on_a_full_disk_stops_nobody) {
  HttpServerSetup patient = setup();
  patient.child.ignored_signals = {SIGXFSZ};
  HttpServer server{patient};
  make_page(server);
  const rlimit nothing{.rlim_cur = 0, .rlim_max = RLIM_INFINITY};
  rlimit before{};
  ASSERT_EQ(::prlimit(server.pid(), RLIMIT_FSIZE, &nothing, &before), 0);
  std::filesystem::remove(program_);
  server.signal(SIGUSR2);
  server.signal(SIGWINCH);  // Taken after it: when no worker is left, it has failed.
  EXPECT_TRUE(eventually([&] { return server.worker_pids().empty(); })) << server.errors();
  EXPECT_EQ(holder(), server.pid());

  ASSERT_EQ(::prlimit(server.pid(), RLIMIT_FSIZE, &before, nullptr), 0);
  const HttpdRun reload = run_httpd({"reload", "--pid-file", pid_file_});
  EXPECT_EQ(reload.status, ExitStatus::exited(0)) << reload.errors << server.errors();
  EXPECT_EQ(page_of(server), "hello");
}

TEST_F(Upgrade, goes_on_when_the_old_master_is_killed_meanwhile) {
  HttpServer server{setup()};
  make_page(server);
  const std::string go = dir_.path() / "go";
  replace_program("echo waits >&2; until [ -e " + go + " ]; do sleep 0.02; done; exec " +
                  httpd_program() + " \"$@\"");
  server.signal(SIGUSR2);
  ASSERT_TRUE(server.await_error("waits"));
  server.signal(SIGKILL);
  server.process().wait();
  std::ofstream{go} << "";
  ASSERT_TRUE(eventually([&] { return holder() != 0 && holder() != server.pid(); }))
      << server.errors();
  EXPECT_EQ(page_of(server), "hello");
}

TEST_F(Upgrade, ends_with_the_old_master_when_that_is_told_to_end_meanwhile) {
  HttpServer server{setup()};
  replace_program("echo waits >&2; exec sleep 1000");
  server.signal(SIGUSR2);
  ASSERT_TRUE(server.await_error("waits"));
  EXPECT_EQ(server.stop(SIGTERM), ExitStatus::exited(0));
}

TEST_F(Upgrade, is_followed_by_the_reload_that_was_asked_for_meanwhile_if_it_fails) {
  HttpServer server{setup()};
  make_page(server);
  const std::string go = dir_.path() / "go";
  replace_program("echo waits >&2; until [ -e " + go + " ]; do sleep 0.02; done");
  server.signal(SIGUSR2);
  ASSERT_TRUE(server.await_error("waits"));
  server.signal(SIGHUP);
  server.signal(SIGUSR2);
  std::ofstream{go} << "";
  EXPECT_TRUE(server.await_error("upgrade failed")) << server.errors();
  EXPECT_TRUE(server.await_error("reloaded: generation 2")) << server.errors();
  expect_nothing_changed(server);
}

}  // namespace
}  // namespace procpool::test
