// procpool-ftpd with --system-users: who is let in, as whom he then works, and what a stranger can
// do before. The server sees an /etc of its own, in a mount namespace of its own: the machine's
// users are neither asked nor changed.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "ipc/base/process_id.hpp"
#include "servers/ftp/detail/login_line.hpp"
#include "servers/models/password.hpp"
#include "servers/models/sandbox.hpp"
#include "tests/servers/ftp/ftp_server.hpp"
#include "tests/servers/ftpd_server.hpp"
#include "tests/support/children.hpp"
#include "tests/support/contains.hpp"
#include "tests/support/open_files.hpp"

namespace procpool::test {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using proc::ExitStatus;

constexpr uid_t kStrangers = 4700;  // whom the server runs as, before and without a user
constexpr uid_t kAda = 4711;
constexpr gid_t kTeam = 4712;  // ada's other group

void write(const fs::path& path, std::string_view content) {
  std::ofstream{path, std::ios::binary} << content;
}

std::string code(const std::string& reply) {
  return reply.substr(0, 3);
}

std::string status_of(pid_t pid, const std::string& field) {
  std::ifstream lines{"/proc/" + std::to_string(pid) + "/status"};
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(field + ":")) return line.substr(line.find('\t') + 1);
  }
  return {};
}

std::string four_times(uid_t id) {
  const std::string text = std::to_string(id);
  return text + "\t" + text + "\t" + text + "\t" + text;
}

std::string title_of(pid_t pid) {
  return read_file("/proc/" + std::to_string(pid) + "/cmdline");
}

struct Ownership {
  uid_t user;
  gid_t group;
  bool operator==(const Ownership&) const = default;
};

Ownership owner_of(const fs::path& path) {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) throw_errno("stat", path.string());
  return {facts.st_uid, facts.st_gid};
}

struct Account {
  std::string shell = "/bin/sh";
  std::string changed = "20000";  // the password: days since 1970
  std::string days{};             // for which it is good
  std::string expires{};          // the account
};

class SystemUsers : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    if (!run_program({"unshare", "--mount", "true"}).status.success())
      GTEST_SKIP() << "may not make a mount namespace";
    fs::permissions(folder_.path(), fs::perms{0755});
    fs::create_directories(home_);
    fs::create_directories(etc_);
    give(home_, kAda, kAda);
    write(etc_ / "nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\n");
    write(etc_ / "shells", "/bin/sh\n");
    write(etc_ / "group",
          "root:x:0:\nada:x:4711:\nteam:x:4712:ada\nstrangers:x:4700:\nusers:x:4800:\n");
    write(etc_ / "ftpusers", "# these may not\ndenied\n");
    add("root", 0);
    add("strangers", kStrangers, "*");
    add("ada", kAda);
  }

  static void give(const fs::path& path, uid_t user, gid_t group) {
    if (::chown(path.c_str(), user, group) != 0) throw_errno("chown", path.string());
  }

  // A line of passwd(5) and one of shadow(5).
  void add(const std::string& name, uid_t uid, const std::string& hash = kHashOfSecret,
           const Account& account = {}) const {
    const std::string id = std::to_string(uid);
    std::ofstream{etc_ / "passwd", std::ios::app} << name << ":x:" << id << ":"
                                                  << (uid == kStrangers ? 4700
                                                      : uid == kAda     ? 4711
                                                                        : 4800)
                                                  << "::" << home_.string() << ":" << account.shell
                                                  << "\n";
    std::ofstream{etc_ / "shadow", std::ios::app} << name << ":" << hash << ":" << account.changed
                                                  << ":0:" << account.days
                                                  << ":7::" << account.expires << ":\n";
    fs::permissions(etc_ / "shadow", fs::perms{0600});
  }

  std::vector<std::string> in_own_etc(const std::vector<std::string>& argv) const {
    std::vector<std::string> all{
        "unshare", "--mount", "sh", "-c", "mount --bind \"$0\" /etc && exec \"$@\"", etc_};
    all.insert(all.end(), argv.begin(), argv.end());
    return all;
  }

  ServerProgram serve(const std::vector<std::string>& more = {}) const {
    return ServerProgram{[&](const fs::path&) {
      std::vector<std::string> argv{ftpd_program(), "--listen", "127.0.0.1:0", "--system-users",
                                    "on",           "--user",   "strangers"};
      argv.insert(argv.end(), more.begin(), more.end());
      return in_own_etc(argv);
    }};
  }

  static net::Address address_of(const ServerProgram& server) {
    return net::Address::parse("127.0.0.1:" + std::to_string(server.port()));
  }

  // The process of the only session, and the one that reads for it until somebody is logged in.
  static pid_t session_of(const ServerProgram& server) {
    EXPECT_TRUE(eventually([&] { return server.worker_pids().size() == 1; }));
    return server.worker_pids().at(0);
  }
  static pid_t deputy_of(const ServerProgram& server) {
    const pid_t session = session_of(server);
    EXPECT_TRUE(eventually([&] { return list_children(session).size() == 1; }));
    return list_children(session).at(0).pid;
  }
  static bool has_no_session(const ServerProgram& server) {
    return eventually([&] { return list_children(server.pid()).empty(); });  // and it is reaped
  }

  TempDir folder_;
  fs::path home_ = folder_.path() / "home";
  fs::path etc_ = folder_.path() / "etc";
};

// --- who is let in ---

TEST_F(SystemUsers, work_with_their_own_rights_and_nobody_else_s) {
  write(home_ / "roots", "secret of root's");
  fs::permissions(home_ / "roots", fs::perms{0600});
  write(home_ / "teams", "for the team");
  give(home_ / "teams", 0, kTeam);
  fs::permissions(home_ / "teams", fs::perms{0640});
  fs::create_directory(home_ / "closed");
  fs::permissions(home_ / "closed", fs::perms{0700});
  const ServerProgram server = serve();
  FtpClient ada{address_of(server)};
  ada.log_in();
  ada.put("STOR a", "hers");
  EXPECT_EQ(code(ada.end()), "226");
  EXPECT_EQ(code(ada.ask("MKD b")), "257");
  EXPECT_EQ(read_file(home_ / "a"), "hers");
  EXPECT_EQ(owner_of(home_ / "a"), (Ownership{kAda, kAda}));
  EXPECT_EQ(owner_of(home_ / "b"), (Ownership{kAda, kAda}));
  EXPECT_EQ(ada.get("a"), "hers");
  EXPECT_EQ(ada.get("teams"), "for the team");
  ada.get("roots");
  EXPECT_EQ(ada.end(), "550 roots: Permission denied.");
  EXPECT_EQ(code(ada.ask("CWD closed")), "550");
  EXPECT_EQ(code(ada.ask("CWD /")), "250");
  EXPECT_TRUE(contains(ada.fetch("LIST"), " roots\r\n"));
  ada.put("STOR teams", "more");
  EXPECT_EQ(code(ada.end()), "226") << "the folder is hers: she may put another file in its place";
}

TEST_F(SystemUsers, are_served_by_one_process_that_has_no_way_back) {
  const ServerProgram server = serve();
  FtpClient ada{address_of(server)};
  ada.log_in();
  const pid_t session = session_of(server);
  EXPECT_TRUE(list_children(session).empty());
  EXPECT_EQ(status_of(session, "Uid"), four_times(kAda));
  EXPECT_EQ(status_of(session, "Gid"), four_times(kAda));
  EXPECT_EQ(status_of(session, "Groups"), "4711 4712 ");
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"})
    EXPECT_EQ(status_of(session, set), "0000000000000000") << set;
  EXPECT_EQ(status_of(session, "NoNewPrivs"), "1");
  EXPECT_EQ(status_of(session, "Seccomp"), models::sandbox_is_available() ? "2" : "0");
  EXPECT_TRUE(contains(title_of(session), "127.0.0.1 ada")) << title_of(session);
  EXPECT_EQ(code(ada.ask("REIN")), "502");
  EXPECT_EQ(code(ada.ask("USER root")), "530");
  EXPECT_EQ(code(ada.ask("NOOP")), "200");
}

TEST_F(SystemUsers, that_may_not_log_in_are_refused_in_the_same_words) {
  add("low", 999);
  add("noshell", 4801, kHashOfSecret, {.shell = "/usr/sbin/nologin"});
  add("expired", 4802, kHashOfSecret, {.expires = "10000"});
  add("stale", 4803, kHashOfSecret, {.changed = "10000", .days = "30"});
  add("fresh", 4804, kHashOfSecret, {.changed = "0"});
  add("locked", 4805, std::string{"!"} + kHashOfSecret);
  add("open", 4806, "");
  add("denied", 4807);
  add("later", 4808, kHashOfSecret, {.days = "99999", .expires = "99999"});
  const ServerProgram server = serve({"--max-sessions-per-address", "100"});
  const auto answer = [&](const std::string& name, const std::string& password) {
    FtpClient client{address_of(server)};
    EXPECT_EQ(client.ask("USER " + name), "331 Password, please.") << name;
    return client.ask("PASS " + password);
  };
  for (const char* name : {"root", "0", "4711", "strangers", "low", "noshell", "expired", "stale",
                           "fresh", "locked", "open", "denied", "unknown", "anonymous", "ADA"})
    EXPECT_EQ(answer(name, "secret"), "530 Not logged in.") << name;
  EXPECT_EQ(answer("ada", "wrong"), "530 Not logged in.");
  EXPECT_EQ(answer("ada", ""), "530 Not logged in.");
  EXPECT_EQ(answer("open", ""), "530 Not logged in.");
  EXPECT_EQ(answer("ada", std::string(600, 'x')), "530 Not logged in.");
  EXPECT_EQ(answer("ada" + std::string(300, 'x'), "secret"), "530 Not logged in.");
  EXPECT_EQ(code(answer("later", "secret")), "230");
  EXPECT_EQ(code(answer("ada", "secret")), "230");
}

// By the median of many, asked in turn: what the machine does meanwhile meets both alike.
TEST_F(SystemUsers, take_the_same_time_known_and_unknown) {
  add("known", 4801, models::hash_password("secret"));
  const ServerProgram server = serve({"--login-failures", "100", "--login-timeout", "300s"});
  FtpClient client{address_of(server)};
  std::map<std::string, std::vector<Clock::duration>> spent;
  for (int i = 0; i < 15; ++i) {
    for (const char* name : {"known", "unknown"}) {
      const auto begin = Clock::now();
      EXPECT_EQ(client.ask(std::string{"USER "} + name), "331 Password, please.");
      EXPECT_EQ(client.ask("PASS wrong"), "530 Not logged in.");
      spent[name].push_back(Clock::now() - begin);
    }
  }
  const auto median = [&](const char* name) {
    std::vector<Clock::duration>& all = spent[name];
    std::ranges::sort(all);
    return std::chrono::duration<double>{all[all.size() / 2]}.count();
  };
  const double ratio = median("known") / median("unknown");
  EXPECT_GT(ratio, 0.6);
  EXPECT_LT(ratio, 1.6);
}

TEST_F(SystemUsers, come_after_those_of_the_file_who_stay_strangers_to_the_system) {
  const fs::path theirs = folder_.path() / "virtual";
  fs::create_directory(theirs);
  give(theirs, kStrangers, kStrangers);
  const std::string users = folder_.path() / "users";
  run_ftpd({"user", "add", "--users", users, "--home", theirs, "--write", "ada"}, "virtual\n");
  run_ftpd({"user", "add", "--users", users, "--home", theirs, "bob"}, "virtual\n");
  const ServerProgram server = serve({"--users", users, "--anonymous", theirs});
  {
    FtpClient client{address_of(server)};
    EXPECT_EQ(code(client.ask("USER ada")), "331");
    EXPECT_EQ(code(client.ask("PASS secret")), "530") << "of the system";
    EXPECT_EQ(code(client.ask("USER ada")), "331");
    EXPECT_EQ(code(client.ask("PASS virtual")), "230");
    EXPECT_EQ(status_of(session_of(server), "Uid"), four_times(kStrangers));
    client.put("STOR a", "content");
    EXPECT_EQ(owner_of(theirs / "a"), (Ownership{kStrangers, kStrangers}));
  }
  EXPECT_TRUE(has_no_session(server));
  FtpClient guest{address_of(server)};
  EXPECT_EQ(code(guest.ask("USER ftp")), "331");
  EXPECT_EQ(code(guest.ask("PASS me@example.org")), "230");
  EXPECT_EQ(status_of(session_of(server), "Uid"), four_times(kStrangers));
  EXPECT_EQ(status_of(session_of(server), "CapEff"), "0000000000000000");
  EXPECT_EQ(guest.get("a"), "content");
  EXPECT_EQ(code(guest.ask("DELE a")), "550");
}

TEST_F(SystemUsers, without_a_home_are_told_and_end) {
  const ServerProgram server = serve();
  fs::remove(home_);
  FtpClient ada{address_of(server)};
  EXPECT_EQ(code(ada.ask("USER ada")), "331");
  EXPECT_EQ(ada.ask("PASS secret"), "530 Your home is missing.");
  EXPECT_TRUE(ada.ended());
  EXPECT_TRUE(has_no_session(server));
}

TEST_F(SystemUsers, need_root_and_somebody_who_reads_what_strangers_say) {
  const auto refuses = [&](const std::vector<std::string>& options, const std::string& words,
                           proc::ChildOptions child = {}) {
    std::vector<std::string> argv{ftpd_program(), "--check", "--system-users", "on"};
    argv.insert(argv.end(), options.begin(), options.end());
    const ProgramRun run = run_program(argv, std::move(child));
    EXPECT_EQ(run.status, ExitStatus::exited(2)) << run.status.text();
    EXPECT_TRUE(contains(run.errors, "\"--system-users\": " + words)) << run.errors;
  };
  refuses({}, "needs --user NAME");
  refuses({"--user", "root"}, "needs --user NAME");
  refuses({"--user", "nobody"}, "needs root",
          {.credentials = proc::Credentials::of("nobody", "nogroup")});
  EXPECT_EQ(run_ftpd({"--check", "--system-users", "on", "--user", "nobody"}).output,
            "the configuration is good\n");
}

// --- from one process to the other ---

TEST_F(SystemUsers, lose_no_command_that_came_with_their_password) {
  const ServerProgram server = serve();
  FtpClient ada{address_of(server)};
  ada.send("OPTS MLST modify;\r\nUSER ada\r\nPASS secret\r\nPWD\r\nMLST /\r\nSYST\r\n");
  for (const char* expected : {"200", "331", "230", "257"})
    EXPECT_EQ(code(ada.receive()), expected);
  EXPECT_TRUE(contains(ada.receive(), "\n modify=")) << "what was chosen before";
  EXPECT_EQ(code(ada.receive()), "215");
}

TEST_F(SystemUsers, are_waited_for_by_a_process_without_rights) {
  const ServerProgram server = serve();
  FtpClient client{address_of(server)};
  EXPECT_EQ(code(client.ask("USER ada")), "331");
  const pid_t deputy = deputy_of(server);
  EXPECT_EQ(status_of(deputy, "Uid"), four_times(kStrangers));
  EXPECT_EQ(status_of(deputy, "CapEff"), "0000000000000000");
  EXPECT_EQ(status_of(deputy, "NoNewPrivs"), "1");
  EXPECT_EQ(status_of(deputy, "Seccomp"), models::sandbox_is_available() ? "2" : "0");
  EXPECT_TRUE(contains(title_of(deputy), "USER ada")) << title_of(deputy);
}

TEST_F(SystemUsers, count_once_before_and_after_they_are_let_in) {
  const ServerProgram server = serve({"--max-sessions", "1"});
  FtpClient ada{address_of(server)};
  EXPECT_EQ(code(FtpClient{address_of(server)}.greeting()), "421");
  ada.log_in();
  EXPECT_EQ(code(FtpClient{address_of(server)}.greeting()), "421");
  EXPECT_EQ(code(ada.ask("QUIT")), "221");
  EXPECT_TRUE(ada.ended());
  EXPECT_TRUE(has_no_session(server));
  FtpClient next{address_of(server)};
  next.log_in();
}

TEST_F(SystemUsers, find_a_session_that_was_forked_ahead) {
  const ServerProgram server = serve({"--spare-sessions", "1"});
  EXPECT_TRUE(eventually([&] { return server.worker_pids().size() == 1; }));
  FtpClient ada{address_of(server)};
  ada.log_in();
  ada.put("STOR a", "hers");
  EXPECT_EQ(owner_of(home_ / "a").user, kAda);
}

TEST_F(SystemUsers, that_fail_three_times_are_sent_away) {
  const ServerProgram server = serve();
  FtpClient client{address_of(server)};
  for (const char* expected : {"530", "530", "421"}) {
    EXPECT_EQ(code(client.ask("USER ada")), "331");
    EXPECT_EQ(code(client.ask("PASS wrong")), expected);
  }
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(has_no_session(server));
}

TEST_F(SystemUsers, that_do_not_log_in_are_sent_away) {
  const ServerProgram server = serve({"--login-timeout", "100ms"});
  FtpClient client{address_of(server)};
  EXPECT_EQ(client.receive(), "421 Nobody has logged in.");
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(has_no_session(server));
}

// --- the dead, and signals ---

TEST_F(SystemUsers, lose_all_processes_of_a_session_when_one_of_them_is_killed) {
  ServerProgram server = serve({"--max-sessions", "1"});
  for (const bool kills_deputy : {true, false}) {
    FtpClient client{address_of(server)};
    EXPECT_EQ(code(client.ask("USER ada")), "331");
    const std::optional<ProcessId> session = ProcessId::of(session_of(server));
    const std::optional<ProcessId> deputy = ProcessId::of(deputy_of(server));
    ::kill(kills_deputy ? deputy->pid : session->pid, SIGKILL);
    EXPECT_TRUE(client.ended());
    EXPECT_TRUE(eventually([&] { return session->is_dead() && deputy->is_dead(); }));
    EXPECT_TRUE(has_no_session(server));
    FtpClient next{address_of(server)};
    EXPECT_EQ(code(next.greeting()), "220");
    next.log_in();
    ::kill(session_of(server), SIGKILL);
    EXPECT_TRUE(next.ended());
    EXPECT_TRUE(has_no_session(server));
  }
  EXPECT_TRUE(server.await_error("the process that reads logins killed by SIGKILL"));
  server.stop();
  EXPECT_TRUE(await_no_children());  // the orphan of the session that was killed
}

TEST_F(SystemUsers, end_with_a_master_that_is_killed) {
  ServerProgram server = serve();
  FtpClient ada{address_of(server)};
  ada.log_in();
  FtpClient waiting{address_of(server)};
  EXPECT_EQ(code(waiting.ask("USER ada")), "331");
  server.signal(SIGKILL);
  EXPECT_TRUE(ada.ended());
  EXPECT_TRUE(waiting.ended());
  server.process().wait();
  EXPECT_TRUE(await_no_children());
}

TEST_F(SystemUsers, come_to_their_end_when_the_server_stops_and_so_does_who_is_not_let_in) {
  ServerProgram server = serve();
  FtpClient ada{address_of(server)};
  ada.log_in();
  FtpClient waiting{address_of(server)};
  EXPECT_EQ(code(waiting.ask("USER ada")), "331");
  UniqueFd data = ada.passive();
  EXPECT_EQ(code(ada.ask("STOR a")), "150");
  server.signal(SIGTERM);
  EXPECT_EQ(waiting.receive(), "421 The server stops.");
  EXPECT_TRUE(waiting.ended());
  write_full(data.fd(), "to its end", "data");
  data.reset();
  EXPECT_EQ(code(ada.receive()), "226");
  EXPECT_EQ(ada.receive(), "421 The server stops.");
  EXPECT_EQ(server.process().wait(), ExitStatus::exited(0)) << server.errors();
  EXPECT_EQ(read_file(home_ / "a"), "to its end");
}

TEST_F(SystemUsers, are_not_disturbed_by_a_reload_nor_by_rotated_logs) {
  const fs::path logs = folder_.path() / "logs";
  fs::create_directory(logs);
  ServerProgram server =
      serve({"--error-log", logs / "errors", "--transfer-log", logs / "transfers"});
  FtpClient waiting{address_of(server)};
  EXPECT_EQ(code(waiting.ask("USER ada")), "331");
  const pid_t deputy = deputy_of(server);
  FtpClient ada{address_of(server)};
  ada.log_in();
  fs::rename(logs / "errors", logs / "old");
  server.signal(SIGUSR1);
  EXPECT_TRUE(eventually([&] { return has_open(deputy, logs / "errors"); }));
  server.signal(SIGHUP);
  EXPECT_TRUE(eventually([&] { return contains(read_file(logs / "errors"), "reloaded"); }));
  ada.put("STOR a", "hers");
  EXPECT_EQ(code(ada.end()), "226");
  EXPECT_TRUE(contains(read_file(logs / "transfers"), " 4 /a b _ i r ada ftp 0 * c\n"));
  EXPECT_EQ(waiting.ask("PASS wrong"), "530 Not logged in.");
  EXPECT_TRUE(contains(read_file(logs / "errors"), "a login has failed"));
  EXPECT_EQ(code(waiting.ask("USER ada")), "331");
  EXPECT_EQ(code(waiting.ask("PASS secret")), "230");
}

// --- a stranger who has taken possession of the process that reads what he says ---

class SubvertedDeputy : public SystemUsers {
 protected:
  // The deputy's own side of the line by which it asks: pidfd_getfd(2).
  static UniqueFd line_of(pid_t deputy) {
    const UniqueFd process = open_pidfd(deputy);
    for (const auto& entry : fs::directory_iterator{"/proc/" + std::to_string(deputy) + "/fd"}) {
      const int number = std::stoi(entry.path().filename());
      UniqueFd copy{static_cast<int>(::syscall(SYS_pidfd_getfd, process.fd(), number, 0))};
      int type = 0;
      socklen_t size = sizeof type;
      if (copy.valid() && ::getsockopt(copy.fd(), SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
          type == SOCK_SEQPACKET)
        return copy;
    }
    return {};
  }
};

TEST_F(SubvertedDeputy, ends_only_itself_by_nonsense) {
  const ServerProgram server = serve();
  for (const std::size_t size : {std::size_t{1}, std::size_t{771}, std::size_t{772},
                                 std::size_t{773}, std::size_t{100'000}}) {
    FtpClient client{address_of(server)};
    const UniqueFd line = line_of(deputy_of(server));
    if (!line.valid()) GTEST_SKIP() << "may not take descriptors of other processes";
    const std::string nonsense(size, 'x');  // of the right size, too: texts without an end
    EXPECT_EQ(::send(line.fd(), nonsense.data(), size, MSG_NOSIGNAL), static_cast<ssize_t>(size));
    EXPECT_TRUE(client.ended()) << size;
    EXPECT_TRUE(has_no_session(server)) << size;
  }
  EXPECT_TRUE(server.await_error("is of another size"));
  EXPECT_TRUE(server.await_error("a text has no end"));
  FtpClient ada{address_of(server)};
  ada.log_in();
}

TEST_F(SubvertedDeputy, may_guess_three_times_and_is_ended_then) {
  const ServerProgram server = serve();
  FtpClient client{address_of(server)};
  const std::optional<ProcessId> deputy = ProcessId::of(deputy_of(server));
  const UniqueFd line = line_of(deputy->pid);
  if (!line.valid()) GTEST_SKIP() << "may not take descriptors of other processes";
  for (int guess = 0; guess < 3; ++guess)
    EXPECT_TRUE(ftp::detail::is_refused(line.fd(), {.name = "ada", .password = "guess"}));
  EXPECT_FALSE(ftp::detail::is_refused(line.fd(), {.name = "ada", .password = "secret"}))
      << "nobody answers any more";
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(deputy->is_dead());
  EXPECT_TRUE(has_no_session(server));
}

}  // namespace
}  // namespace procpool::test
