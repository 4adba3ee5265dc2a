// What procpool-ftpd says to good and bad command lines, configurations and files of users.
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "servers/ftp/users.hpp"
#include "servers/models/password.hpp"
#include "tests/servers/ftpd_server.hpp"
#include "tests/support/contains.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {
namespace {

using proc::ExitStatus;

void expect_refusal(const ProgramRun& run, int status, const std::vector<std::string>& words) {
  EXPECT_EQ(run.status, ExitStatus::exited(status)) << run.status.text();
  EXPECT_EQ(run.output, "");
  EXPECT_TRUE(run.errors.starts_with("procpool-ftpd: ")) << run.errors;
  EXPECT_EQ(run.errors.find('\n'), run.errors.size() - 1) << run.errors;
  for (const std::string& word : words) EXPECT_TRUE(contains(run.errors, word)) << run.errors;
}

TEST(FtpdCommandLine, is_explained_by_help) {
  const ProgramRun run = run_ftpd({"--help"});
  EXPECT_EQ(run.status, ExitStatus::exited(0));
  for (const char* word : {"--users", "--anonymous", "--passive-ports", "sessions", "user"})
    EXPECT_TRUE(contains(run.output, word)) << word;
  EXPECT_TRUE(contains(run_ftpd({"user", "add", "--help"}).output, "--home"));
  EXPECT_TRUE(run_ftpd({"--version"}).output.starts_with("procpool-ftpd "));
}

TEST(FtpdCommandLine, that_is_wrong_is_refused_in_one_line) {
  const TempDir folder;
  const std::string there = folder.path();
  expect_refusal(run_ftpd({}), 2, {"--users", "nobody could log in"});
  expect_refusal(run_ftpd({"--anonymus", there}), 2, {"is \"--anonymous\" meant?"});
  expect_refusal(run_ftpd({"sesions"}), 2, {"is \"sessions\" meant?"});
  expect_refusal(run_ftpd({"user"}), 2, {"add, remove, passwd or list"});
  expect_refusal(run_ftpd({"user", "ad"}), 2, {"is \"add\" meant?"});
  expect_refusal(run_ftpd({"--anonymous", there + "/none"}), 2, {"--anonymous", "/none"});
  expect_refusal(run_ftpd({"--users", there + "/none"}), 2, {"--users", "/none"});
  for (const std::vector<std::string>& flag : {std::vector<std::string>{"--passive-ports", "5-6"},
                                               {"--passive-ports", "50000"},
                                               {"--passive-ports", "50001-50000"},
                                               {"--passive-ports", "50000-70000"},
                                               {"--passive-host", "example.org"},
                                               {"--passive-host", "::1"},
                                               {"--umask", "8"},
                                               {"--umask", "1000"},
                                               {"--max-sessions", "0"},
                                               {"--max-sessions", "5000"},
                                               {"--login-failures", "0"},
                                               {"--idle-timeout", "0"},
                                               {"--greeting", "two\nlines"},
                                               {"--durable", "yes"},
                                               {"--seccomp", "yes"},
                                               {"--system-users", "yes"},
                                               {"--spare-sessions", "100"},
                                               {"--transfer-log-format", "xml"},
                                               {"--listen", "unix:" + there + "/socket"},
                                               {"--listen", "nowhere"}}) {
    expect_refusal(run_ftpd({"--anonymous", there, flag[0], flag[1]}), 2, {flag[0]});
  }
  expect_refusal(run_ftpd({"--anonymous", there, "--daemon"}), 2, {"--error-log"});
}

class FtpdConfigFile : public testing::Test {
 protected:
  ProgramRun check(const std::string& text, std::vector<std::string> arguments = {}) const {
    std::ofstream{config_} << text;
    arguments.insert(arguments.end(), {"--check", "--config", config_});
    return run_ftpd(arguments);
  }

  TempDir folder_;
  std::string config_ = folder_.path() / "ftpd.toml";
  std::string anonymous_ = "anonymous = \"" + folder_.path().string() + "\"\n";
};

TEST_F(FtpdConfigFile, has_a_key_for_every_flag_that_is_a_setting) {
  const ProgramRun run = check(anonymous_ + R"(
listen = ["127.0.0.1:0", "[::1]:0"]
max-sessions = 10
max-sessions-per-address = 4
graceful-timeout = 2.5
login-timeout = "5s"
login-failures = 2
idle-timeout = "10s"
data-timeout = "500ms"
accept-timeout = 1
passive-ports = "50000-50100"
passive-host = "192.0.2.1"
umask = "077"
durable = true
transfer-log = "off"
transfer-log-format = "json"
spare-sessions = 2
seccomp = false
system-users = false
error-log = "-"
greeting = "hello"
)");
  EXPECT_EQ(run.status, ExitStatus::exited(0)) << run.errors;
  EXPECT_EQ(run.output, "the configuration is good\n");
}

TEST_F(FtpdConfigFile, that_is_bad_is_refused_with_file_line_column_and_key) {
  expect_refusal(check(anonymous_ + "max-sesions = 3\n"), 2,
                 {config_ + ":2:1", "is \"max-sessions\" meant?"});
  expect_refusal(check(anonymous_ + "durable = \"yes\"\n"), 2, {config_ + ":2:11", "durable"});
  expect_refusal(check(anonymous_ + "umask = 22\n"), 2, {config_ + ":2:9", "must be a string"});
  expect_refusal(check(anonymous_ + "[\n"), 2, {config_ + ":2"});
  expect_refusal(check("anonymous = \"/none\"\n"), 2, {config_ + ":1:13", "anonymous"});
  expect_refusal(check("idle-timeout = 5\n"), 2, {"users", "nobody could log in"});
}

TEST_F(FtpdConfigFile, yields_to_the_command_line) {
  EXPECT_EQ(check("anonymous = \"/none\"\n", {"--anonymous", folder_.path()}).status,
            ExitStatus::exited(0));
}

class FtpdUsers : public testing::Test {
 protected:
  ProgramRun user(const std::string& command, std::vector<std::string> arguments,
                  const std::string& input = {}) const {
    arguments.insert(arguments.begin(), {"user", command, "--users", file_});
    return run_ftpd(arguments, input);
  }
  ProgramRun add(const std::string& name, const std::string& password = "secret\n",
                 std::vector<std::string> more = {}) const {
    more.insert(more.end(), {"--home", folder_.path(), name});
    return user("add", more, password);
  }

  TempDir folder_;
  std::string file_ = folder_.path() / "users";
};

TEST_F(FtpdUsers, are_added_with_a_home_rights_a_rate_and_a_quota) {
  EXPECT_EQ(add("ada", "secret\n", {"--write", "--rate", "500K", "--quota", "1M"}).status,
            ExitStatus::exited(0));
  EXPECT_EQ(add("bob", "other").status, ExitStatus::exited(0));
  const ftp::Users users = ftp::read_users(file_);
  EXPECT_TRUE(models::is_password("secret", users.at("ada").hash));
  EXPECT_TRUE(users.at("ada").may_write);
  EXPECT_EQ(users.at("ada").rate, 500U << 10);
  EXPECT_EQ(users.at("ada").quota, 1U << 20);
  EXPECT_EQ(users.at("ada").home, std::filesystem::canonical(folder_.path()));
  EXPECT_TRUE(models::is_password("other", users.at("bob").hash));
  EXPECT_FALSE(users.at("bob").may_write);
  EXPECT_EQ(std::filesystem::status(file_).permissions(), std::filesystem::perms{0600});
  const std::string listed = user("list", {}).output;
  EXPECT_TRUE(contains(listed, "ada\trw\t512000\t1048576\t")) << listed;
  EXPECT_TRUE(contains(listed, "bob\tr\t0\t0\t")) << listed;
}

TEST_F(FtpdUsers, can_be_removed_and_get_another_password) {
  add("ada");
  add("bob");
  EXPECT_EQ(user("passwd", {"ada"}, "new one\n").status, ExitStatus::exited(0));
  EXPECT_EQ(user("remove", {"bob"}).status, ExitStatus::exited(0));
  const ftp::Users users = ftp::read_users(file_);
  EXPECT_EQ(users.size(), 1U);
  EXPECT_TRUE(models::is_password("new one", users.at("ada").hash));
}

TEST_F(FtpdUsers, that_cannot_be_changed_leave_the_file_as_it_was) {
  add("ada");
  const std::string before = read_file(file_);
  expect_refusal(add("ada"), 2, {"ada", "already"});
  expect_refusal(add("bob", ""), 1, {"no password"});
  expect_refusal(add("b:b"), 1, {"b:b"});
  expect_refusal(add("bob", "secret\n", {"--rate", "fast"}), 2, {"--rate"});
  expect_refusal(add("bob", "secret\n", {"--quota", "much"}), 2, {"--quota"});
  expect_refusal(user("add", {"--home", "/none/there", "bob"}, "x\n"), 2, {"--home"});
  expect_refusal(user("remove", {"bob"}), 2, {"bob", "is not in"});
  expect_refusal(user("passwd", {"bob"}, "x\n"), 2, {"bob", "is not in"});
  EXPECT_EQ(read_file(file_), before);
  std::filesystem::remove(file_);
  expect_refusal(user("remove", {"ada"}), 1, {file_, "No such file"});
  EXPECT_FALSE(std::filesystem::exists(file_));
}

TEST_F(FtpdUsers, added_at_the_same_time_are_all_there) {
  std::vector<proc::Process> adders;
  for (int i = 0; i < 8; ++i) {
    adders.push_back(proc::Process::spawn(
        {"sh", "-c", "echo secret | \"$0\" user add --users \"$1\" --home / u" + std::to_string(i),
         ftpd_program(), file_},
        {.die_with_parent = true}));
  }
  for (proc::Process& adder : adders) EXPECT_EQ(adder.wait(), ExitStatus::exited(0));
  EXPECT_EQ(ftp::read_users(file_).size(), 8U);
}

}  // namespace
}  // namespace procpool::test
