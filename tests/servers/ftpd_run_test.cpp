// procpool-ftpd while it runs: reloads, upgrades, limits, logs, and what `sessions` shows of it.
#include <signal.h>
#include <sys/socket.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "tests/servers/ftp/ftp_server.hpp"
#include "tests/servers/ftpd_server.hpp"
#include "tests/support/children.hpp"
#include "tests/support/contains.hpp"

namespace procpool::test {
namespace {

using proc::ExitStatus;

void write(const std::filesystem::path& path, std::string_view content) {
  std::ofstream{path, std::ios::binary} << content;
}

void log_in_as_anonymous(FtpClient& client) {
  EXPECT_EQ(client.ask("USER anonymous").substr(0, 3), "331");
  EXPECT_EQ(client.ask("PASS me@example.org").substr(0, 3), "230");
  EXPECT_EQ(client.ask("TYPE I").substr(0, 3), "200");
}

class Ftpd : public testing::Test {
 protected:
  ProgramRun control(const std::string& command) const {
    return run_ftpd({command, "--pid-file", pid_file_});
  }
  void configure(const std::string& text) const { std::ofstream{config_} << text; }
  std::vector<std::string> with_files_of(const std::string& text) const {
    configure(text);
    return {"--pid-file", pid_file_, "--config", config_};
  }

  TempDir folder_;
  std::string pid_file_ = folder_.path() / "ftpd.pid";
  std::string config_ = folder_.path() / "ftpd.toml";
};

TEST_F(Ftpd, serves_anonymous_clients_and_users) {
  run_ftpd({"user", "add", "--users", folder_.path() / "users", "--home", folder_.path(), "--write",
            "ada"},
           "secret\n");
  FtpdServer server{{"--users", folder_.path() / "users"}};
  write(server.root() / "a", "content");
  FtpClient guest{server.address()};
  log_in_as_anonymous(guest);
  EXPECT_EQ(guest.get("a"), "content");
  EXPECT_EQ(guest.ask("DELE a").substr(0, 3), "550");
  FtpClient ada{server.address()};
  ada.log_in();
  ada.put("STOR b", "hers");
  EXPECT_EQ(read_file(folder_.path() / "b"), "hers");
  EXPECT_EQ(server.stop(SIGINT), ExitStatus::exited(0)) << server.errors();
}

TEST_F(Ftpd, shows_who_is_there_and_what_he_does) {
  const FtpdServer server{with_files_of("")};
  write(server.root() / "large", std::string(64U << 20U, 'x'));
  const FtpClient idle{server.address()};
  FtpClient busy{server.address()};
  log_in_as_anonymous(busy);
  UniqueFd data = busy.passive();
  EXPECT_EQ(busy.ask("RETR large").substr(0, 3), "150");
  const auto shown = [&] { return control("sessions").output; };
  EXPECT_TRUE(eventually([&] { return contains(shown(), "RETR large"); })) << shown();
  const std::string table = shown();
  EXPECT_TRUE(contains(table, "PID     FROM            USER")) << table;
  EXPECT_TRUE(contains(table, "127.0.0.1       anonymous")) << table;
  EXPECT_TRUE(contains(table, "/64.0M")) << table;
  EXPECT_TRUE(contains(table, "2 of them, 2 so far, 0 refused\n")) << table;
  data.reset();
  EXPECT_EQ(busy.receive().substr(0, 3), "426");
}

TEST_F(Ftpd, is_watched_until_it_has_ended) {
  FtpdServer server{with_files_of("")};
  auto watcher = proc::Process::spawn(
      {ftpd_program(), "sessions", "--watch", "--pid-file", pid_file_},
      {.die_with_parent = true, .redirections = {proc::Redirection::pipe_from(1)}});
  ASSERT_NE(wait_ready(watcher.pipe(1).fd(), POLLIN, Deadline::in(kPatience)), 0);
  EXPECT_EQ(server.stop(), ExitStatus::exited(0));
  EXPECT_EQ(watcher.wait(), ExitStatus::exited(0));
  EXPECT_EQ(control("sessions").status, ExitStatus::exited(3));
  EXPECT_TRUE(contains(control("sessions").errors, "nothing is running"));
}

TEST_F(Ftpd, gives_new_sessions_a_new_configuration_and_leaves_those_that_run) {
  const FtpdServer server{with_files_of("greeting = \"first\"\n")};
  FtpClient old{server.address()};
  EXPECT_EQ(old.greeting(), "220 first");
  configure("greeting = \"second\"\n");
  const ProgramRun reloaded = control("reload");
  EXPECT_EQ(reloaded.status, ExitStatus::exited(0)) << reloaded.errors;
  EXPECT_EQ(FtpClient{server.address()}.greeting(), "220 second");
  log_in_as_anonymous(old);
  EXPECT_EQ(old.ask("NOOP").substr(0, 3), "200");
}

TEST_F(Ftpd, keeps_serving_when_a_new_configuration_is_bad_and_says_why) {
  const FtpdServer server{with_files_of("greeting = \"first\"\n")};
  configure("greting = \"second\"\n");
  const ProgramRun reloaded = control("reload");
  EXPECT_EQ(reloaded.status, ExitStatus::exited(1));
  EXPECT_TRUE(contains(reloaded.errors, "is \"greeting\" meant?")) << reloaded.errors;
  EXPECT_EQ(FtpClient{server.address()}.greeting(), "220 first");
}

TEST_F(Ftpd, is_upgraded_while_a_transfer_runs_and_counts_the_sessions_of_both) {
  FtpdServer server{with_files_of("max-sessions = 2\n")};
  const std::string content(32U << 20U, 'x');
  write(server.root() / "large", content);
  FtpClient old{server.address()};
  log_in_as_anonymous(old);
  const UniqueFd data = old.passive();
  EXPECT_EQ(old.ask("RETR large").substr(0, 3), "150");
  const ProgramRun upgraded = control("upgrade");
  EXPECT_EQ(upgraded.status, ExitStatus::exited(0)) << upgraded.errors;
  {
    const FtpClient second{server.address()};
    EXPECT_EQ(second.greeting().substr(0, 3), "220");
    EXPECT_EQ(FtpClient{server.address()}.greeting().substr(0, 3), "421");
    EXPECT_TRUE(contains(control("sessions").output, "2 of them"));
  }
  EXPECT_EQ(read_to_end(data.fd(), "data"), content);
  EXPECT_EQ(old.receive().substr(0, 3), "226");
  EXPECT_EQ(old.ask("QUIT").substr(0, 3), "221");
  EXPECT_TRUE(old.ended());
  EXPECT_EQ(server.process().wait(), ExitStatus::exited(0)) << server.errors();
  EXPECT_EQ(control("stop").status, ExitStatus::exited(0));
  EXPECT_TRUE(await_no_children());
}

TEST_F(Ftpd, goes_to_the_background_and_is_stopped_there) {
  const std::string log = folder_.path() / "log";
  const ProgramRun run = run_ftpd({"--listen", "127.0.0.1:0", "--anonymous", folder_.path(),
                                   "--daemon", "--error-log", log, "--pid-file", pid_file_});
  EXPECT_EQ(run.status, ExitStatus::exited(0)) << run.errors;
  EXPECT_EQ(control("status").status, ExitStatus::exited(0));
  EXPECT_EQ(control("stop").status, ExitStatus::exited(0));
  EXPECT_TRUE(await_no_children());
  EXPECT_TRUE(contains(read_file(log), "serving"));
}

TEST_F(Ftpd, keeps_a_quota_over_reloads_and_upgrades) {
  run_ftpd({"user", "add", "--users", folder_.path() / "users", "--home", folder_.path(), "--write",
            "--quota", "1M", "ada"},
           "secret\n");
  FtpdServer server{with_files_of("users = \"" + (folder_.path() / "users").string() + "\"\n")};
  const std::string half(600'000, 'x');
  FtpClient first{server.address()};
  first.log_in();
  first.put("STOR a", half);
  EXPECT_EQ(first.end().substr(0, 3), "226");
  for (const char* change : {"reload", "upgrade"}) {
    EXPECT_EQ(control(change).status, ExitStatus::exited(0)) << change;
    FtpClient next{server.address()};
    next.log_in();
    next.put("STOR b", half);
    EXPECT_EQ(next.end().substr(0, 3), "552") << change;
  }
  EXPECT_EQ(first.ask("QUIT").substr(0, 3), "221");
  EXPECT_EQ(server.process().wait(), ExitStatus::exited(0)) << server.errors();
  EXPECT_EQ(control("stop").status, ExitStatus::exited(0));
  EXPECT_TRUE(await_no_children());
}

TEST_F(Ftpd, shows_in_ps_who_is_served) {
  FtpdServer server;
  FtpClient client{server.address()};
  log_in_as_anonymous(client);
  const auto title = [&] {
    const auto sessions = server.worker_pids();
    return sessions.empty() ? std::string{}
                            : read_file("/proc/" + std::to_string(sessions.front()) + "/cmdline");
  };
  EXPECT_TRUE(eventually([&] { return contains(title(), "127.0.0.1 anonymous"); })) << title();
}

TEST_F(Ftpd, hands_clients_to_sessions_that_were_forked_ahead) {
  FtpdServer server{{"--spare-sessions", "2"}};
  EXPECT_TRUE(eventually([&] { return server.worker_pids().size() == 2; }));
  FtpClient client{server.address()};
  log_in_as_anonymous(client);
  EXPECT_TRUE(eventually([&] { return server.worker_pids().size() == 3; }));
}

TEST_F(Ftpd, writes_its_transfers_to_a_log_that_can_be_rotated) {
  const std::filesystem::path log = folder_.path() / "xferlog";
  FtpdServer server{{"--transfer-log", log}};
  write(server.root() / "a", "content");
  FtpClient client{server.address()};
  log_in_as_anonymous(client);
  client.get("a");
  EXPECT_TRUE(contains(read_file(log), " 7 /a b _ o a anonymous ftp 0 * c\n"));
  std::filesystem::rename(log, folder_.path() / "old");
  server.signal(SIGUSR1);
  EXPECT_TRUE(eventually([&] {
    client.get("a");
    return std::filesystem::exists(log) && contains(read_file(log), " 7 /a b _ o a anonymous ");
  })) << "also of sessions that run";
}

}  // namespace
}  // namespace procpool::test
