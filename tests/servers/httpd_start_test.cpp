// How procpool-httpd is started by others: as a daemon, and by a service manager.
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "proc/pid_file.hpp"
#include "servers/net/address.hpp"
#include "servers/net/listener.hpp"
#include "tests/support/children.hpp"
#include "tests/support/contains.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/service_manager.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {
namespace {

using proc::ExitStatus;

// With this process's environment and one variable more.
std::vector<std::string> environment_with(const std::string& variable) {
  std::vector<std::string> all{variable};
  for (char** entry = environ; *entry != nullptr; ++entry) all.emplace_back(*entry);
  return all;
}

class Daemon : public testing::Test {
 protected:
  Daemon() { std::ofstream{dir_.path() / "page"} << "hello"; }
  ~Daemon() override {
    run_httpd({"stop", "--pid-file", pid_file_});
    EXPECT_TRUE(await_no_children());
  }

  // Relative paths, which have to keep their meaning.
  HttpdRun start(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments{"--daemon", "--pid-file", "httpd.pid", "--root", "."};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_httpd(arguments, {.working_directory = dir_.path()});
  }

  TempDir dir_;
  std::string pid_file_ = dir_.path() / "httpd.pid";
  std::string socket_ = dir_.path() / "socket";
};

TEST_F(Daemon, serves_when_its_launcher_has_ended) {
  const HttpdRun launcher =
      start({"--error-log", "errors", "--listen", "unix:" + socket_, "--workers", "1"});
  ASSERT_EQ(launcher.status, ExitStatus::exited(0)) << launcher.errors;
  const HttpdRun curl = run_program({"curl", "-sS", "--unix-socket", socket_, "http://a/page"});
  EXPECT_EQ(curl.output, "hello") << curl.errors;
  const auto pid = proc::read_pid_file(pid_file_);
  ASSERT_TRUE(pid.has_value());
  EXPECT_NE(::getsid(*pid), ::getsid(0));
  EXPECT_TRUE(contains(read_file(dir_.path() / "errors"), "serving with 1 workers"));
  EXPECT_EQ(run_httpd({"reload", "--pid-file", pid_file_}).status, ExitStatus::exited(0));
  EXPECT_EQ(run_httpd({"upgrade", "--pid-file", pid_file_}).status, ExitStatus::exited(0));
  EXPECT_EQ(run_httpd({"stop", "--pid-file", pid_file_}).status, ExitStatus::exited(0));
}

TEST_F(Daemon, that_cannot_serve_says_so_through_its_launcher) {
  const auto taken = net::Listener::open(net::Address::parse("127.0.0.1:0"));
  const HttpdRun launcher = start({"--error-log", "errors", "--listen", taken.address().text()});
  EXPECT_EQ(launcher.status, ExitStatus::exited(1));
  EXPECT_TRUE(contains(launcher.errors, "Address already in use")) << launcher.errors;
  EXPECT_FALSE(std::filesystem::exists(pid_file_));
}

TEST_F(Daemon, needs_a_file_for_its_errors) {
  const HttpdRun launcher = start({});
  EXPECT_EQ(launcher.status, ExitStatus::exited(2));
  EXPECT_TRUE(contains(launcher.errors, "\"--daemon\": needs --error-log FILE")) << launcher.errors;
}

TEST(Manager, hears_of_the_start_of_a_reload_and_of_the_end) {
  const TempDir dir;
  ServiceManager manager{dir.path() / "notify"};
  HttpServer server{
      {.child = {.environment = environment_with("NOTIFY_SOCKET=" + manager.address())}}};
  EXPECT_EQ(manager.awaits("READY=1"), "READY=1");
  server.signal(SIGHUP);
  EXPECT_TRUE(manager.awaits("RELOADING=1").starts_with("RELOADING=1\nMONOTONIC_USEC="));
  EXPECT_EQ(manager.awaits("READY=1"), "READY=1");
  EXPECT_EQ(server.stop(), ExitStatus::exited(0));
  EXPECT_EQ(manager.awaits("STOPPING=1"), "STOPPING=1");
}

TEST(Manager, is_told_who_serves_after_an_upgrade) {
  const TempDir dir;
  ServiceManager manager{dir.path() / "notify"};
  const std::string pid_file = dir.path() / "httpd.pid";
  HttpServer server{
      {.arguments = {"--pid-file", pid_file},
       .child = {.environment = environment_with("NOTIFY_SOCKET=" + manager.address())}}};
  EXPECT_EQ(manager.awaits("READY=1"), "READY=1");
  EXPECT_EQ(run_httpd({"upgrade", "--pid-file", pid_file}).status, ExitStatus::exited(0));
  const std::string told = manager.awaits("MAINPID=");
  EXPECT_EQ(told, "MAINPID=" + std::to_string(proc::read_pid_file(pid_file).value_or(0)));
  EXPECT_EQ(server.process().wait(), ExitStatus::exited(0));
  EXPECT_EQ(run_httpd({"stop", "--pid-file", pid_file}).status, ExitStatus::exited(0));
  EXPECT_EQ(manager.awaits("STOPPING=1"), "STOPPING=1");
  EXPECT_TRUE(await_no_children());
}

TEST(Manager, sees_that_the_server_lives) {
  const TempDir dir;
  ServiceManager manager{dir.path() / "notify"};
  auto environment = environment_with("NOTIFY_SOCKET=" + manager.address());
  environment.emplace_back("WATCHDOG_USEC=200000");
  const HttpServer server{{.child = {.environment = std::move(environment)}}};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(manager.awaits("WATCHDOG=1"), "WATCHDOG=1");
}

TEST(Successor, that_was_given_rubbish_says_so) {
  for (const char* descriptor : {"x", "-1", "99", "1", ""}) {
    const HttpdRun run = run_httpd(
        {"--listen", "127.0.0.1:0"},
        {.environment = environment_with(std::string{"PROCPOOL_SUCCEEDS="} + descriptor)});
    EXPECT_EQ(run.status, ExitStatus::exited(1)) << descriptor;
    EXPECT_TRUE(contains(run.errors, "is no channel of this process")) << run.errors;
  }
}

// As a service manager starts a service of a socket: it has opened that.
class Activated : public testing::Test {
 protected:
  Activated() {
    std::ofstream{program_} << R"(#!/usr/bin/python3
import os, socket, sys
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
port = s.getsockname()[1]
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
arguments = [argument.replace("PORT", str(port)) for argument in sys.argv[1:]]
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(")" << httpd_program()
                            << "\", [\"procpool-httpd\"] + arguments)\n";
    std::filesystem::permissions(program_, std::filesystem::perms{0755});
  }

  TempDir dir_;
  std::string program_ = dir_.path() / "activate";
};

TEST_F(Activated, serves_on_the_socket_that_was_passed) {
  HttpServer server{{.program = program_, .listen = {"127.0.0.1:PORT"}}};
  std::ofstream{server.root() / "page"} << "hello";
  EXPECT_EQ(HttpClient{server.port()}.get("/page").body, "hello");
  server.signal(SIGHUP);
  EXPECT_TRUE(server.await_error("reloaded")) << server.errors();
  EXPECT_EQ(HttpClient{server.port()}.get("/page").body, "hello");
}

TEST_F(Activated, refuses_a_socket_that_its_configuration_does_not_name) {
  const HttpdRun run = run_program({program_, "--listen", "127.0.0.1:0"});
  EXPECT_EQ(run.status, ExitStatus::exited(2));
  EXPECT_TRUE(contains(run.errors, "which \"listen\" does not name")) << run.errors;
}

}  // namespace
}  // namespace procpool::test
