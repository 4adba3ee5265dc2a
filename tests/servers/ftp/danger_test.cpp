// What attackers, broken clients and broken disks do, looked at from outside.
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "proc/credentials.hpp"
#include "servers/ftp/upload.hpp"
#include "servers/models/password.hpp"
#include "servers/net/listener.hpp"
#include "tests/servers/ftp/ftp_server.hpp"
#include "tests/support/contains.hpp"

namespace procpool::test {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

std::string code(const std::string& reply) {
  return reply.substr(0, 3);
}

std::uint16_t port_of(const std::string& epsv) {
  return static_cast<std::uint16_t>(std::stoi(epsv.substr(epsv.find("(|||") + 4)));
}

pid_t only_session(const FtpServer& server) {
  return models::sessions_of(server.board()).at(0).pid;
}

std::size_t entries_of(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator{folder}, fs::directory_iterator{}));
}

// All of it, or as much as is taken.
void send_until_closed(int fd, std::string_view bytes) {
  try {
    write_full(fd, bytes, "client");
  } catch (const Error& error) {
    EXPECT_TRUE(error.code() == std::errc::broken_pipe ||
                error.code() == std::errc::connection_reset)
        << error.what();
  }
}

bool awaits(const FtpServer& server, std::uint64_t bytes) {
  return eventually([&] {
    const auto sessions = models::sessions_of(server.board());
    return sessions.size() == 1 && sessions[0].done == bytes;
  });
}

// --- lines ---

TEST(FtpDanger, a_long_line_is_no_two_lines) {
  const FtpServer server;
  server.write("x", "kept");
  FtpClient client{server};
  client.log_in();
  std::string line(100'000, 'a');
  line.replace(4096, 8, "\rDELE x\r");
  line.replace(50'000, 10, "\r\nDELE x\r\n");
  line += "DELE x\r\n";
  send_until_closed(client.fd(), line);
  EXPECT_EQ(code(client.receive()), "500");
  EXPECT_TRUE(server.has_sessions(0));
  EXPECT_EQ(server.read("x"), "kept");
}

TEST(FtpDanger, four_kibibytes_of_0xff_are_a_name_or_nothing) {
  const FtpServer server;
  FtpClient client{server};
  client.log_in();
  client.send(std::string(4096, '\xff') + "\r\n");
  EXPECT_EQ(code(client.receive()), "500");
  client.send("STAT " + std::string(4096, '\xff') + "\r\n");
  EXPECT_EQ(code(client.receive()), "450");
  EXPECT_EQ(code(client.ask("NOOP")), "200");
}

TEST(FtpDanger, who_speaks_http_is_sent_away) {
  const FtpServer server;
  for (const char* verb : {"GET", "POST"}) {
    FtpClient client{server};
    client.send(std::string{verb} + " / HTTP/1.1\r\nHost: x\r\n\r\nUSER ada\r\nPASS secret\r\n");
    EXPECT_EQ(code(client.receive()), "500");
    EXPECT_TRUE(client.ended());
  }
  EXPECT_TRUE(server.has_sessions(0));
}

TEST(FtpDanger, a_name_with_a_line_end_stays_one_line_of_a_listing) {
  const FtpServer server;
  server.write("a\nb", "");
  server.write("c\r\n226 d", "");
  FtpClient client{server};
  client.log_in();
  for (const char* command : {"LIST", "NLST", "MLSD", "STAT ."}) {
    const std::string text =
        std::string{command} == "STAT ." ? client.ask(command) : client.fetch(command);
    EXPECT_FALSE(contains(text, "\nb")) << command << "\n" << text;
    EXPECT_FALSE(contains(text, "\n226 d")) << command << "\n" << text;
  }
  EXPECT_EQ(code(client.ask("NOOP")), "200");
}

TEST(FtpDanger, a_cr_in_a_name_comes_as_cr_nul) {
  const FtpServer server;
  FtpClient client{server};
  client.log_in();
  client.put(std::string{"STOR a\r\0b", 9}, "x");
  EXPECT_EQ(code(client.end()), "226");
  EXPECT_EQ(server.read("a\rb"), "x");
}

// --- listings ---

TEST(FtpDanger, patterns_of_many_stars_cost_nothing) {
  const FtpServer server;
  server.write(std::string(250, 'a'), "");
  FtpClient client{server};
  client.log_in();
  std::string pattern;
  for (int i = 0; i < 100; ++i) pattern += "a*";
  EXPECT_EQ(client.fetch("LIST " + pattern + "b"), "");
  EXPECT_EQ(code(client.end()), "226");
  EXPECT_TRUE(contains(client.fetch("NLST " + pattern), std::string(250, 'a')));
}

TEST(FtpDanger, a_deep_tree_is_walked_as_a_flat_one) {
  const FtpServer server;
  FtpClient client{server};
  client.log_in();
  constexpr int kDepth = 500;
  for (int i = 0; i < kDepth; ++i) {
    ASSERT_EQ(code(client.ask("MKD d")), "257") << i;
    ASSERT_EQ(code(client.ask("CWD d")), "250") << i;
  }
  EXPECT_EQ(client.fetch("NLST"), "");
  EXPECT_EQ(client.fetch("LIST -R /").find('d', 1) == std::string::npos, false);
  client.put("STOR x", "deep");
  EXPECT_EQ(client.get("x"), "deep");
  EXPECT_EQ(code(client.ask("CWD /")), "250");
  EXPECT_EQ(code(client.ask("RNFR d")), "350");
  EXPECT_EQ(code(client.ask("RNTO d/d/inside")), "550");
}

TEST(FtpDanger, options_run_nothing) {
  const FtpServer server;
  server.write("-R", "a file");
  server.write("folder/inner", "");
  FtpClient client{server};
  client.log_in();
  const std::string list = client.fetch("LIST");
  for (const char* command : {"LIST -la;id", "LIST -la|id", "LIST `id`/../", "LIST $(id)/.."}) {
    EXPECT_EQ(client.fetch(command), list) << command;
  }
  EXPECT_FALSE(contains(list, "inner"));
  EXPECT_EQ(client.get("-R"), "a file");
  EXPECT_EQ(client.fetch("NLST ./-R"), "./-R\r\n");
  EXPECT_EQ(code(client.ask("DELE -R")), "250");
}

TEST(FtpDanger, an_empty_directory_is_an_empty_list) {
  const FtpServer server;
  fs::create_directory(server.root() / "empty");
  FtpClient client{server};
  client.log_in();
  for (const char* command : {"LIST empty", "NLST empty"}) {
    EXPECT_EQ(client.fetch(command), "") << command;
    EXPECT_EQ(code(client.end()), "226") << command;
  }
}

// --- what extensions say ---

TEST(FtpExtension, features_are_told_with_one_space) {
  const FtpServer server;
  FtpClient client{server};
  const std::string text = client.ask("FEAT");
  EXPECT_TRUE(text.starts_with("211-")) << text;
  EXPECT_TRUE(text.ends_with("\n211 End")) << text;
  for (const char* feature : {"REST STREAM", "SIZE", "MDTM", "UTF8", "EPSV", "EPRT", "TVFS"})
    EXPECT_TRUE(contains(text, std::string{"\n "} + feature + "\n")) << feature;
}

TEST(FtpExtension, facts_of_one_file_are_indented_by_one_space) {
  const FtpServer server;
  server.write("a", "12345");
  FtpClient client{server};
  client.log_in();
  const std::string text = client.ask("MLST a");
  EXPECT_TRUE(contains(text, "\n type=file;size=5;")) << text;
  EXPECT_TRUE(contains(text, "; /a\n250 End")) << text;
}

TEST(FtpExtension, times_are_utc) {
  const FtpServer server;
  server.write("a", "");
  FtpClient client{server};
  client.log_in();
  EXPECT_EQ(code(client.ask("MFMT 19941106084937 a")), "213");
  EXPECT_EQ(client.ask("MDTM a"), "213 19941106084937");
  struct stat facts{};
  ASSERT_EQ(::stat((server.root() / "a").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mtime, 784'111'777);
}

TEST(FtpExtension, protection_is_not_pretended) {
  const FtpServer server;
  FtpClient client{server};
  EXPECT_EQ(code(client.ask("AUTH TLS")), "502");
  EXPECT_EQ(code(client.ask("PBSZ 0")), "503");
  EXPECT_EQ(code(client.ask("PROT P")), "503");
}

// --- data connections ---

TEST(FtpDanger, a_second_passive_mode_ends_the_first) {
  const FtpServer server;
  server.write("a", "content");
  FtpClient client{server};
  client.log_in();
  const std::uint16_t first = port_of(client.ask("EPSV"));
  EXPECT_EQ(client.get("a"), "content");
  EXPECT_THROW(FtpClient::connect_to(net::Address::parse("127.0.0.1:" + std::to_string(first))),
               Error);
}

TEST(FtpDanger, abor_takes_the_passive_mode_back) {
  const FtpServer server;
  FtpClient client{server};
  client.log_in();
  const std::uint16_t port = port_of(client.ask("EPSV"));
  EXPECT_EQ(code(client.ask("ABOR")), "226");
  EXPECT_THROW(FtpClient::connect_to(net::Address::parse("127.0.0.1:" + std::to_string(port))),
               Error);
  EXPECT_EQ(code(client.ask("LIST")), "425");
}

TEST(FtpDanger, two_unique_names_at_once_are_two) {
  const FtpServer server;
  FtpClient first{server};
  FtpClient second{server};
  first.log_in();
  second.log_in();
  UniqueFd data = first.passive();
  UniqueFd others = second.passive();
  const std::string mine = first.ask("STOU");
  const std::string its = second.ask("STOU");
  EXPECT_NE(mine, its);
  data.reset();
  others.reset();
  EXPECT_EQ(code(first.receive()), "226");
  EXPECT_EQ(code(second.receive()), "226");
  EXPECT_EQ(entries_of(server.root()), 2U);
}

// --- who may come ---

TEST(FtpDanger, one_too_many_is_told_421_and_closed) {
  const FtpServer server{{}, "127.0.0.1:0", {.max_sessions = 1}};
  FtpClient first{server};
  FtpClient second{server};
  EXPECT_EQ(second.greeting(), "421 Full.");
  EXPECT_TRUE(second.ended());
  EXPECT_EQ(code(first.ask("NOOP")), "200");
}

TEST(FtpDanger, the_third_failure_closes) {
  const FtpServer server;
  FtpClient client{server};
  for (const char* expected : {"530", "530", "421"}) {
    EXPECT_EQ(code(client.ask("USER ada")), "331");
    EXPECT_EQ(code(client.ask("PASS wrong")), expected);
  }
  EXPECT_TRUE(client.ended());
}

TEST(FtpDanger, who_says_nothing_any_more_is_sent_away) {
  const FtpServer server{[](ftp::Settings& settings) { settings.idle_timeout = 50ms; }};
  FtpClient client{server};
  EXPECT_EQ(code(client.ask("USER ada")), "331");
  EXPECT_EQ(code(client.ask("PASS secret")), "230");
  EXPECT_EQ(client.receive(), "421 Nothing was said for too long.");
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(server.has_sessions(0));
}

// By the median of many, asked in turn: what the machine does meanwhile meets both alike.
TEST(FtpDanger, known_and_unknown_users_take_the_same_time) {
  const std::size_t times = std::getenv("PROCPOOL_TORTURE") != nullptr ? 200 : 25;
  const FtpServer server{[&](ftp::Settings& settings) {
    settings.users["ada"].hash = models::hash_password("secret");
    settings.login_failures = static_cast<unsigned>(2 * times) + 1;
  }};
  FtpClient client{server};
  std::vector<std::chrono::duration<double>> known;
  std::vector<std::chrono::duration<double>> unknown;
  known.reserve(times);
  unknown.reserve(times);
  const auto time_of = [&](const std::string& name) {
    const auto begin = Clock::now();
    EXPECT_EQ(client.ask("USER " + name), "331 Password, please.");
    EXPECT_EQ(client.ask("PASS wrong"), "530 Not logged in.");
    return Clock::now() - begin;
  };
  for (std::size_t i = 0; i < times; ++i) {
    known.emplace_back(time_of("ada"));
    unknown.emplace_back(time_of("eve"));
  }
  const auto median = [](auto& of) {
    const std::size_t middle = of.size() / 2;
    std::ranges::nth_element(of, of.begin() + static_cast<std::ptrdiff_t>(middle));
    return of[middle].count();
  };
  const double ratio = median(known) / median(unknown);
  EXPECT_GT(ratio, 0.6);
  EXPECT_LT(ratio, 1.6);
}

// --- what needs a world of its own ---

constexpr int kNotPermitted = 77;

void write_text(const std::string& path, const std::string& text) {
  const UniqueFd file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
  if (file.valid()) write_full(file.fd(), text, path);
}

// Runs `body` as root of a user name space, with name spaces of its own of these kinds.
template <typename Body>
void in_name_spaces(int kinds, Body body) {
  Forked child{[&]() -> int {
    const auto uid = std::to_string(::geteuid());
    const auto gid = std::to_string(::getegid());
    if (::unshare(CLONE_NEWUSER | kinds) != 0) return kNotPermitted;
    write_text("/proc/self/setgroups", "deny");
    write_text("/proc/self/uid_map", "0 " + uid + " 1");
    write_text("/proc/self/gid_map", "0 " + gid + " 1");
    return body();
  }};
  const Ending ending = child.wait();
  if (ending == exited(kNotPermitted)) GTEST_SKIP() << "no such name space for us";
  EXPECT_EQ(ending, exited(0));
}

// --- the dead ---

TEST(FtpDanger, a_session_that_is_killed_frees_its_slot_its_port_and_its_upload) {
  // A range of one port.
  const std::uint16_t port =
      net::Listener::open(net::Address::parse("127.0.0.1:0")).address().port();
  const FtpServer server{[port](ftp::Settings& settings) { settings.passive_ports = {port, port}; },
                         "127.0.0.1:0",
                         {.max_sessions = 1}};
  for (int i = 0; i < 5; ++i) {
    FtpClient client{server};
    ASSERT_EQ(client.greeting(), "220 procpool-ftpd");
    client.log_in();
    const UniqueFd data = client.passive();
    ASSERT_EQ(code(client.ask("STOR a")), "150");
    write_full(data.fd(), "half of it", "data");
    ASSERT_TRUE(awaits(server, 10));
    ::kill(only_session(server), SIGKILL);
    EXPECT_TRUE(client.ended());
    ASSERT_TRUE(server.has_sessions(0));
    EXPECT_EQ(entries_of(server.root()), 0U);
  }
}

// Of a network of its own, which has no other way: down, no packet arrives any more.
bool set_loopback(bool up) {
  const UniqueFd socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  ifreq request{};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = static_cast<short>(up ? IFF_UP : 0);
  return ::ioctl(socket.fd(), SIOCSIFFLAGS, &request) == 0;
}

TEST(FtpDanger, a_client_whose_cable_is_pulled_frees_his_slot_and_his_upload) {
  in_name_spaces(CLONE_NEWNET, [] {
    if (!set_loopback(true)) return kNotPermitted;
    const FtpServer server{
        [](ftp::Settings& settings) { settings.data_timeout = settings.idle_timeout = 1s; },
        "127.0.0.1:0",
        {.max_sessions = 1}};
    server.write("large", std::string(std::size_t{64} << 20, 'x'));
    const auto pull_the_cable_in = [&](const std::string& command, const auto& half_way) {
      FtpClient client{server};
      EXPECT_EQ(client.greeting(), "220 procpool-ftpd");
      client.log_in();
      const UniqueFd data = client.passive();
      EXPECT_EQ(code(client.ask(command)), "150");
      half_way(data.fd());
      EXPECT_TRUE(set_loopback(false));
      EXPECT_TRUE(server.has_sessions(0)) << command;
      EXPECT_TRUE(set_loopback(true));
      EXPECT_EQ(entries_of(server.root()), 1U) << command;
    };
    pull_the_cable_in("RETR large", [](int data) {
      std::array<std::byte, 10> some{};
      read_full(data, some, "data");
    });
    pull_the_cable_in("STOR a", [&](int data) {
      write_full(data, "half of it", "data");
      EXPECT_TRUE(awaits(server, 10));
    });
    return 0;
  });
}

// As one that was killed between the two steps of replacing a file.
TEST(FtpDanger, what_a_killed_upload_has_left_is_taken_away_by_the_next) {
  const FtpServer server;
  const std::string abandoned = std::string{ftp::Upload::kPrefix} + "1.2";
  const std::string alive = std::string{ftp::Upload::kPrefix} + "3.4";
  server.write("folder/" + abandoned, "half of it");
  server.write("folder/" + alive, "more to come");
  const UniqueFd locked{::open((server.root() / "folder" / alive).c_str(), O_RDONLY | O_CLOEXEC)};
  ASSERT_EQ(::flock(locked.fd(), LOCK_EX), 0);
  FtpClient client{server};
  client.log_in();
  client.put("STOR folder/a", "content");
  EXPECT_EQ(code(client.end()), "226");
  EXPECT_FALSE(fs::exists(server.root() / "folder" / abandoned));
  EXPECT_TRUE(fs::exists(server.root() / "folder" / alive));
}

// --- files ---

// A directory and a link out of the home take turns under one name, as fast as they can.
TEST(FtpDanger, a_link_that_is_flipped_at_speed_leads_nowhere) {
  const TempDir outside;
  std::ofstream{outside.path() / "file"} << "outside";
  const FtpServer server;
  server.write("real/file", "inside");
  fs::create_symlink(outside.path(), server.root() / "link");
  const std::string real = server.root() / "real";
  const std::string link = server.root() / "link";
  FtpClient client{server};
  client.log_in();
  const Forked flipper{[&] {
    for (;;) {
      for (const std::string& name : {real, link}) {
        ::rename(name.c_str(), (server.root() / "flip").c_str());
        ::rename((server.root() / "flip").c_str(), name.c_str());
        ::renameat2(AT_FDCWD, real.c_str(), AT_FDCWD, link.c_str(), RENAME_EXCHANGE);
      }
    }
  }};
  std::set<std::string> seen;
  for (int i = 0; i < 500; ++i) {
    const std::string content = client.get("real/file");
    EXPECT_NE(content, "outside");
    seen.insert(code(client.end()));
    client.put("STOR real/new", "x");
    seen.insert(code(client.end()));
    client.ask("DELE real/new");
  }
  EXPECT_EQ(entries_of(outside.path()), 1U);
  EXPECT_TRUE(seen.contains("226"));
  EXPECT_FALSE(seen.contains("451"));
}

// Sessions without the rights of root, which nothing is forbidden to.
class FtpRights : public testing::Test {
 protected:
  static models::SessionService as_somebody() {
    models::SessionService service;
    if (::geteuid() == 0) service.run_as = proc::Credentials::of("nobody");
    return service;
  }
  void SetUp() override {
    ::chmod(server_.folder().c_str(), 0711);
    if (::geteuid() != 0) return;
    const auto owner = proc::Credentials::of("nobody");
    ASSERT_EQ(::chown(server_.root().c_str(), owner.uid, owner.gid), 0);
  }

  FtpServer server_{[](ftp::Settings& settings) { settings.transfer_log.clear(); }, "127.0.0.1:0",
                    as_somebody()};
};

TEST_F(FtpRights, that_change_in_mid_session_are_told_and_the_session_lives) {
  server_.write("a", "content");
  server_.write("folder/b", "content");
  FtpClient client{server_};
  client.log_in();
  EXPECT_EQ(client.get("a"), "content");
  ASSERT_EQ(::chmod((server_.root() / "a").c_str(), 0), 0);
  ASSERT_EQ(::chmod((server_.root() / "folder").c_str(), 0500), 0);
  ASSERT_EQ(::chmod(server_.root().c_str(), 0500), 0);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(server_.root().c_str(), 0, 0), 0);
  }
  ASSERT_EQ(::chmod(server_.root().c_str(), 0555), 0);
  client.get("a");
  EXPECT_EQ(code(client.end()), "550");
  for (const char* line : {"STOR new", "STOR a", "STOU", "MKD new", "DELE a", "RMD folder"}) {
    EXPECT_EQ(code(client.ask("EPSV")), "229");
    EXPECT_EQ(code(client.ask(line)), "550") << line;
  }
  EXPECT_EQ(code(client.ask("NOOP")), "200");
}

TEST_F(FtpRights, of_a_home_that_is_removed_in_mid_session) {
  FtpClient client{server_};
  client.log_in();
  fs::remove_all(server_.root());
  EXPECT_EQ(code(client.ask("EPSV")), "229");
  EXPECT_EQ(code(client.ask("STOR a")), "550");
  EXPECT_EQ(code(client.ask("MKD a")), "550");
  EXPECT_EQ(code(client.ask("PWD")), "257");
}

// Runs `body` with a file system of its own, mounted with these options.
template <typename Body>
void with_small_disk(const char* options, Body body) {
  const TempDir place;
  in_name_spaces(CLONE_NEWNS, [&] {
    if (::mount("none", place.path().c_str(), "tmpfs", 0, options) != 0) return kNotPermitted;
    body(place.path());
    return 0;
  });
}

TEST(FtpDisk, that_is_full_ends_the_upload_and_not_the_session) {
  with_small_disk("size=1m", [](const fs::path& disk) {
    const FtpServer server{[&](ftp::Settings& settings) { settings.users["ada"].home = disk; }};
    FtpClient client{server};
    client.log_in();
    EXPECT_EQ(code(client.ask("ALLO 10000000")), "552");
    for (const char* command : {"STOR a", "APPE b", "STOU"}) {
      UniqueFd data = client.passive();
      EXPECT_EQ(code(client.ask(command)), "150");
      send_until_closed(data.fd(), std::string(std::size_t{4} << 20, 'x'));
      data.reset();
      EXPECT_EQ(code(client.receive()), "452") << command;
      ::unlink((disk / "b").c_str());
      EXPECT_EQ(entries_of(disk), 0U) << command;
    }
    client.put("STOR a", std::string(100'000, 'x'));
    EXPECT_EQ(code(client.end()), "226");
  });
}

TEST(FtpDisk, that_may_not_be_written_takes_nothing) {
  with_small_disk("size=1m", [](const fs::path& disk) {
    std::ofstream{disk / "a"} << "content";
    ASSERT_EQ(::mount("none", disk.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
    const FtpServer server{[&](ftp::Settings& settings) { settings.users["ada"].home = disk; }};
    FtpClient client{server};
    client.log_in();
    EXPECT_EQ(client.get("a"), "content");
    for (const char* line : {"STOR b", "STOR a", "APPE a", "STOU", "MKD d", "DELE a"}) {
      EXPECT_EQ(code(client.ask("EPSV")), "229");
      EXPECT_EQ(code(client.ask(line)), "550") << line;
    }
  });
}

// --- what holds a session ---

std::string status_of(pid_t pid, const std::string& field) {
  std::ifstream lines{"/proc/" + std::to_string(pid) + "/status"};
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(field + ":")) return line.substr(line.find_last_of("\t ") + 1);
  }
  return {};
}

TEST(FtpSession, is_in_a_sandbox_and_gets_no_new_privileges) {
  if (!models::sandbox_is_available()) GTEST_SKIP() << "this build or this kernel has no sandbox";
  const FtpServer server;
  FtpClient client{server};
  EXPECT_EQ(code(client.ask("NOOP")), "200");  // what it hears, it hears in there
  EXPECT_EQ(status_of(only_session(server), "Seccomp"), "2");
  EXPECT_EQ(status_of(only_session(server), "NoNewPrivs"), "1");
  EXPECT_EQ(status_of(server.pid(), "Seccomp"), "0");
}

TEST(FtpSession, works_without_a_sandbox) {
  const FtpServer server{[](ftp::Settings& settings) { settings.sandbox.reset(); }};
  FtpClient client{server};
  client.log_in();
  EXPECT_EQ(status_of(only_session(server), "Seccomp"), "0");
  client.put("STOR a", "content");
  EXPECT_EQ(client.get("a"), "content");
}

TEST(FtpSession, logs_transfers_as_json_if_that_is_wanted) {
  const FtpServer server{
      [](ftp::Settings& settings) { settings.transfer_log_format = ftp::TransferLogFormat::json; }};
  FtpClient client{server};
  client.log_in();
  client.put("STOR a", "content");
  EXPECT_TRUE(contains(server.transfers(),
                       "\"direction\":\"in\",\"file\":\"/a\",\"type\":\"I\",\"bytes\":7,"))
      << server.transfers();
}

}  // namespace
}  // namespace procpool::test
