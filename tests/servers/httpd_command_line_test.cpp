// What procpool-httpd says before it serves, and why it sometimes does not.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {
namespace {

using proc::ExitStatus;

// One line on standard error, which names all of `words`.
void expect_refusal(const HttpdRun& run, int code, const std::vector<std::string>& words) {
  EXPECT_EQ(run.status, ExitStatus::exited(code)) << run.status.text();
  EXPECT_EQ(run.output, "");
  EXPECT_EQ(std::count(run.errors.begin(), run.errors.end(), '\n'), 1) << run.errors;
  EXPECT_TRUE(run.errors.starts_with("procpool-httpd: ")) << run.errors;
  for (const std::string& word : words) {
    EXPECT_NE(run.errors.find(word), std::string::npos) << run.errors << "should name " << word;
  }
}

TEST(CommandLine, is_explained_by_help) {
  const HttpdRun run = run_httpd({"--help"});
  EXPECT_EQ(run.status, ExitStatus::exited(0));
  EXPECT_EQ(run.errors, "");
  for (const std::string flag :
       {"--workers", "--listen", "--root", "--config", "--check", "--pid-file", "--access-log",
        "--error-log", "--user", "--group", "--graceful-timeout", "--help", "--version"}) {
    EXPECT_NE(run.output.find(flag), std::string::npos) << flag;
  }
}

TEST(CommandLine, tells_the_version) {
  const HttpdRun run = run_httpd({"--version"});
  EXPECT_EQ(run.status, ExitStatus::exited(0));
  EXPECT_TRUE(run.output.starts_with("procpool-httpd ")) << run.output;
}

TEST(CommandLine, that_is_wrong_is_refused_in_one_line) {
  expect_refusal(run_httpd({"--bogus"}), 2, {"--bogus"});
  expect_refusal(run_httpd({"stray"}), 2, {"stray"});
  expect_refusal(run_httpd({"--workers"}), 2, {"--workers"});
  expect_refusal(run_httpd({"--workers", "many"}), 2, {"--workers", "many"});
  expect_refusal(run_httpd({"--workers", "0"}), 2, {"--workers", "0"});
  expect_refusal(run_httpd({"--listen", "nowhere"}), 2, {"--listen", "nowhere"});
  expect_refusal(run_httpd({"--listen", "127.0.0.1:70000"}), 2, {"--listen", "70000"});
  expect_refusal(run_httpd({"--idle-timeout", "soon"}), 2, {"--idle-timeout", "soon"});
  expect_refusal(run_httpd({"--access-log-format", "xml"}), 2,
                 {"--access-log-format", "common, combined or json", "xml"});
  expect_refusal(run_httpd({"--user", "nobody-knows"}), 2, {"--user", "nobody-knows"});
  expect_refusal(run_httpd({"--user", "nobody", "--group", "nobody-knows"}), 2,
                 {"--group", "nobody-knows"});
}

TEST(CommandLine, with_a_root_that_cannot_be_served_is_refused) {
  const TempDir dir;
  const std::string file = dir.path() / "file";
  std::ofstream{file} << "text";
  const std::string none = dir.path() / "none";
  expect_refusal(run_httpd({"--root", none}), 2, {"--root", none, "No such file or directory"});
  expect_refusal(run_httpd({"--root", file}), 2, {"--root", file, "Not a directory"});
}

TEST(CommandLine, with_a_root_that_the_workers_user_cannot_enter_is_refused) {
  using std::filesystem::perms;
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be somebody else";
  const TempDir dir;
  std::filesystem::permissions(dir.path(), perms{0755});
  const std::string root = dir.path() / "root";
  std::filesystem::create_directory(root);
  const std::vector<std::string> flags{"--check", "--root", root, "--user", "nobody"};

  for (const perms mode : {perms{0700}, perms{0744}}) {
    std::filesystem::permissions(root, mode);
    expect_refusal(run_httpd(flags), 2, {"--root", root, "nobody", "Permission denied"});
  }
  std::filesystem::permissions(root, perms{0711});
  EXPECT_EQ(run_httpd(flags).status, ExitStatus::exited(0)) << "nobody has to list it";
  std::filesystem::permissions(dir.path(), perms{0700});
  expect_refusal(run_httpd(flags), 2, {"--root", root, "nobody", "Permission denied"});
}

class ConfigFile : public testing::Test {
 protected:
  std::string write(const std::string& text) const {
    std::ofstream{path_} << text;
    return path_;
  }
  HttpdRun check(const std::string& text, std::vector<std::string> flags = {}) const {
    flags.insert(flags.end(), {"--check", "--config", write(text)});
    return run_httpd(flags);
  }
  std::string path_at_line(int line) const { return path_ + ":" + std::to_string(line); }

  TempDir dir_;
  std::string path_ = dir_.path() / "httpd.toml";
};

TEST_F(ConfigFile, that_is_good_passes_the_check) {
  const HttpdRun run = check(
      "workers = 3\nlisten = [\"127.0.0.1:0\", \"[::1]:0\"]\n"
      "graceful-timeout = \"5s\"\nidle-timeout = 1.5\naccess-log = \"-\"\n");
  EXPECT_EQ(run.status, ExitStatus::exited(0)) << run.errors;
  EXPECT_EQ(run.errors, "");
}

TEST_F(ConfigFile, that_is_bad_is_refused_with_file_line_and_key) {
  expect_refusal(check("workers = 2\nwrokers = 3\n"), 2, {path_at_line(2), "wrokers", "unknown"});
  expect_refusal(check("\n\nroot = 5\n"), 2, {path_at_line(3), "root", "string"});
  expect_refusal(check("workers = -1\n"), 2, {path_at_line(1), "workers", "-1"});
  expect_refusal(check("max-body = \"1\"\n"), 2, {path_at_line(1), "max-body", "integer"});
  expect_refusal(check("listen = \"127.0.0.1:0\"\n"), 2, {path_at_line(1), "listen", "array"});
  expect_refusal(check("workers = 1\nlisten = [\"x\"]\n"), 2, {path_at_line(2), "listen", "x"});
  expect_refusal(check("workers = 2\nroot = \n"), 2, {path_at_line(2)});
  expect_refusal(check("workers = 2\nroot = \"/nothing/there\"\n"), 2,
                 {path_at_line(2), "root", "/nothing/there"});
  expect_refusal(check("\nuser = \"nobody-knows\"\n"), 2, {path_at_line(2), "user"});
  expect_refusal(check("group = \"nobody-knows\"\nuser = \"nobody\"\n"), 2,
                 {path_at_line(1), "group", "nobody-knows"});
  expect_refusal(check("group = \"nogroup\"\n"), 2, {path_at_line(1), "group", "user"});
}

TEST_F(ConfigFile, that_is_bad_does_not_serve_either) {
  expect_refusal(run_httpd({"--config", write("bogus = 1\n")}), 2, {path_at_line(1), "bogus"});
}

TEST_F(ConfigFile, that_is_missing_is_refused) {
  expect_refusal(run_httpd({"--config", path_}), 2, {path_, "No such file or directory"});
}

TEST_F(ConfigFile, yields_to_the_command_line) {
  EXPECT_EQ(check("root = \"/nothing/there\"\n", {"--root", "/"}).status, ExitStatus::exited(0));
  expect_refusal(check("root = \"/nothing\"\n", {"--root", "/none"}), 2, {"option", "/none"});
  const HttpServer server{{.arguments = {"--config", write("workers = 3\n"), "--workers", "2"}}};
  EXPECT_EQ(server.worker_pids().size(), 2u);
}

TEST_F(ConfigFile, has_a_key_for_every_flag_that_is_a_setting) {
  const HttpServer server{
      {.arguments = {"--config", write("workers = 3\nlisten = [\"127.0.0.1:0\"]\n")},
       .listen = {}}};
  EXPECT_EQ(server.worker_pids().size(), 3u);
  EXPECT_EQ(HttpClient{server.port()}.get("/none").status, 404);
}

TEST(StartUp, is_refused_when_the_port_is_in_use) {
  const HttpServer server;
  const std::string address = "127.0.0.1:" + std::to_string(server.port());
  expect_refusal(run_httpd({"--listen", address}), 1, {address, "Address already in use"});
  EXPECT_EQ(HttpClient{server.port()}.get("/none").status, 404);
}

TEST(StartUp, is_refused_when_another_master_holds_the_pid_file) {
  const TempDir dir;
  const std::string file = dir.path() / "pid";
  HttpServer server{{.arguments = {"--pid-file", file}}};
  EXPECT_EQ(read_file(file), std::to_string(server.pid()) + "\n");
  expect_refusal(run_httpd({"--pid-file", file, "--listen", "127.0.0.1:0"}), 1,
                 {file, std::to_string(server.pid())});
  EXPECT_EQ(read_file(file), std::to_string(server.pid()) + "\n");
  EXPECT_EQ(server.stop(), ExitStatus::exited(0));
  EXPECT_FALSE(std::filesystem::exists(file));
}

TEST(StartUp, takes_over_a_pid_file_that_nobody_holds) {
  const TempDir dir;
  const std::string file = dir.path() / "pid";
  std::ofstream{file} << "1\n";
  const HttpServer server{{.arguments = {"--pid-file", file}}};
  EXPECT_EQ(read_file(file), std::to_string(server.pid()) + "\n");
}

TEST(StartUp, is_refused_when_a_log_cannot_be_written) {
  const TempDir dir;
  const std::string log = dir.path() / "none" / "log";
  expect_refusal(run_httpd({"--listen", "127.0.0.1:0", "--access-log", log}), 1, {log});
  expect_refusal(run_httpd({"--listen", "127.0.0.1:0", "--error-log", log}), 1, {log});
}

TEST(StartUp, without_a_root_serves_the_built_in_site) {
  const HttpServer server{{.built_in_site = true}};
  const Answer answer = HttpClient{server.port()}.get("/");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("content-type"), "text/html; charset=utf-8");
  EXPECT_NE(answer.body.find(std::to_string(server.pid())), std::string::npos);
}

}  // namespace
}  // namespace procpool::test
