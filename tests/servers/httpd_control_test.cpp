// procpool-httpd status, reload and stop: what they do, and what they say of it.
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/children.hpp"
#include "tests/support/contains.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {
namespace {

using proc::ExitStatus;

class Control : public testing::Test {
 protected:
  Control() { configure("workers = 1\n"); }

  void configure(const std::string& text) const { std::ofstream{config_} << text; }
  HttpServerSetup setup() const {
    return {.arguments = {"--config", config_, "--pid-file", pid_file_}};
  }
  HttpdRun run(const std::string& command) const {
    return run_httpd({command, "--pid-file", pid_file_});
  }

  TempDir dir_;
  std::string config_ = dir_.path() / "httpd.toml";
  std::string pid_file_ = dir_.path() / "httpd.pid";
};

TEST_F(Control, says_that_nothing_is_running) {
  for (const char* command : {"status", "reload", "stop"}) {
    const HttpdRun result = run(command);
    EXPECT_EQ(result.status, ExitStatus::exited(3)) << command;
    EXPECT_TRUE(contains(result.errors, "nothing is running")) << result.errors;
  }
}

TEST_F(Control, tells_the_status_of_a_server) {
  const HttpServer server{setup()};
  const HttpdRun result = run("status");
  EXPECT_EQ(result.status, ExitStatus::exited(0)) << result.errors;
  EXPECT_EQ(result.output, "process " + std::to_string(server.pid()) + " is running\n");
}

TEST_F(Control, reloads_and_says_so_when_the_new_workers_serve) {
  const HttpServer server{setup()};
  configure("workers = 3\n");
  const HttpdRun result = run("reload");
  EXPECT_EQ(result.status, ExitStatus::exited(0)) << result.errors;
  EXPECT_TRUE(contains(result.output, "has reloaded"));
  EXPECT_GE(server.worker_pids().size(), 3U);
  EXPECT_TRUE(contains(run("status").output, "its last reload succeeded"));
}

TEST_F(Control, says_why_a_reload_has_failed_and_then_succeeds) {
  const HttpServer server{setup()};
  const auto workers = server.worker_pids();
  configure("workers = 1\nroot = 5\n");
  const HttpdRun failed = run("reload");
  EXPECT_EQ(failed.status, ExitStatus::exited(1));
  EXPECT_TRUE(contains(failed.errors, "nothing has changed: "));
  EXPECT_TRUE(contains(failed.errors, "httpd.toml:2:8 \"root\": must be a string"))
      << failed.errors;
  EXPECT_EQ(server.worker_pids(), workers);
  EXPECT_TRUE(contains(run("status").output, "its last reload failed: "));
  configure("workers = 1\n");
  EXPECT_EQ(run("reload").status, ExitStatus::exited(0));
}

TEST_F(Control, stops_a_server_and_waits_for_its_end) {
  HttpServer server{setup()};
  const HttpdRun result = run("stop");
  EXPECT_EQ(result.status, ExitStatus::exited(0)) << result.errors;
  EXPECT_FALSE(server.process().is_running());
  EXPECT_FALSE(std::filesystem::exists(pid_file_));
  EXPECT_FALSE(std::filesystem::exists(pid_file_ + ".reload"));
  EXPECT_EQ(run("status").status, ExitStatus::exited(3));
}

TEST_F(Control, finds_a_server_that_was_killed_not_running) {
  HttpServer server{setup()};
  server.stop(SIGKILL);
  EXPECT_TRUE(await_no_children());
  EXPECT_EQ(run("status").status, ExitStatus::exited(3));
}

TEST_F(Control, wants_a_pid_file) {
  const HttpdRun result = run_httpd({"stop"});
  EXPECT_EQ(result.status, ExitStatus::exited(2));
  EXPECT_TRUE(contains(result.errors, "--pid-file")) << result.errors;
}

}  // namespace
}  // namespace procpool::test
