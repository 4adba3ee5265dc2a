// The cases of FTP, each said to a server and looked at from outside.
#include <signal.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "servers/ftp/command.hpp"
#include "tests/servers/ftp/ftp_server.hpp"
#include "tests/support/contains.hpp"

namespace procpool::test {
namespace {

using namespace std::chrono_literals;

std::string code(const std::string& reply) {
  return reply.substr(0, 3);
}

// What a client says, line by line, and the codes that he hears.
struct Talk {
  const char* name;
  std::vector<std::pair<std::string, std::string>> lines;
};

class FtpTalk : public testing::TestWithParam<Talk> {};

TEST_P(FtpTalk, goes_as_it_must) {
  const FtpServer server;
  server.write("file", "0123456789");
  server.write("folder/inner", "x");
  FtpClient client{server};
  for (const auto& [line, expected] : GetParam().lines) {
    const std::string reply = client.ask(line);
    EXPECT_EQ(code(reply), expected) << line << ": " << reply;
  }
}

const std::pair<std::string, std::string> user{"USER ada", "331"};
const std::pair<std::string, std::string> pass{"PASS secret", "230"};
const std::pair<std::string, std::string> binary{"TYPE I", "200"};

INSTANTIATE_TEST_SUITE_P(
    Login, FtpTalk,
    testing::Values(
        Talk{"unknown_user_is_asked_for_a_password", {{"USER nobody", "331"}, {"PASS x", "530"}}},
        Talk{"pass_first", {{"PASS secret", "503"}}},
        Talk{"wrong_password", {user, {"PASS wrong", "530"}, user, pass}},
        Talk{"third_failure_ends_it",
             {user, {"PASS a", "530"}, user, {"PASS b", "530"}, user, {"PASS c", "421"}}},
        Talk{"nothing_before_login",
             {{"PWD", "530"}, {"LIST", "530"}, {"RETR file", "530"}, {"STAT", "530"}}},
        Talk{"user_without_a_name", {{"USER", "501"}}},
        Talk{"unknown_command", {{"XYZZY", "500"}, {"", "500"}}},
        Talk{"not_implemented", {{"ACCT x", "502"}, {"SMNT x", "502"}}},
        Talk{"noop_in_any_case", {{"noop", "200"}, {"NoOp", "200"}}},
        Talk{"who_are_you", {{"SYST", "215"}, {"HELP", "214"}, {"FEAT", "211"}}},
        Talk{"reinitialise", {user, pass, {"REIN", "220"}, {"PWD", "530"}, user, pass}},
        Talk{"second_user", {user, pass, {"USER bob", "530"}}},
        Talk{"host", {{"HOST ftp.example.com", "220"}, user, pass, {"HOST x", "503"}}},
        Talk{"http", {{"GET / HTTP/1.1", "500"}}},
        Talk{"argument_too_many", {user, pass, {"PWD x", "501"}, {"PASV x", "501"}}}),
    [](const auto& each) { return each.param.name; });

INSTANTIATE_TEST_SUITE_P(Parameters, FtpTalk,
                         testing::Values(Talk{"type",
                                              {user,
                                               pass,
                                               {"TYPE I", "200"},
                                               {"TYPE A", "200"},
                                               {"type a n", "200"},
                                               {"TYPE L 8", "200"},
                                               {"TYPE E", "504"},
                                               {"TYPE L 7", "504"},
                                               {"TYPE A T", "504"},
                                               {"TYPE", "501"}}},
                                         Talk{"structure_and_mode",
                                              {user,
                                               pass,
                                               {"STRU F", "200"},
                                               {"STRU P", "504"},
                                               {"MODE S", "200"},
                                               {"MODE B", "504"},
                                               {"MODE C", "504"}}},
                                         Talk{"port",
                                              {user,
                                               pass,
                                               {"PORT 127,0,0,1,4,0", "200"},
                                               {"PORT 127,0,0,1,4", "501"},
                                               {"PORT 127,0,0,256,4,0", "501"},
                                               {"PORT 127,0,0,1,0,22", "504"},
                                               {"PORT 192,0,2,1,200,1", "501"},
                                               {"PORT 127,0,0,1,4,0,", "501"}}},
                                         Talk{"extended_port",
                                              {user,
                                               pass,
                                               {"EPRT |1|127.0.0.1|6275|", "200"},
                                               {"EPRT !1!127.0.0.1!6275!", "200"},
                                               {"EPRT |3|x|6275|", "522"},
                                               {"EPRT |1|127.0.0.1|65536|", "501"},
                                               {"EPRT |1|127.0.0.1|22|", "504"},
                                               {"EPRT |1|192.0.2.1|6275|", "501"},
                                               {"EPRT |2|127.0.0.1|6275|", "501"},
                                               {"EPRT x", "501"}}},
                                         Talk{"passive",
                                              {user,
                                               pass,
                                               {"PASV", "227"},
                                               {"EPSV", "229"},
                                               {"EPSV 1", "229"},
                                               {"EPSV 2", "522"},
                                               {"EPSV 9", "522"},
                                               {"EPSV ALL", "200"},
                                               {"PASV", "522"},
                                               {"PORT 127,0,0,1,4,0", "522"},
                                               {"EPRT |1|127.0.0.1|6275|", "522"},
                                               {"EPSV", "229"}}},
                                         Talk{"restart",
                                              {user,
                                               pass,
                                               {"REST 10", "504"},
                                               binary,
                                               {"REST 10", "350"},
                                               {"REST x", "501"},
                                               {"REST -1", "501"}}},
                                         Talk{"allocate",
                                              {user,
                                               pass,
                                               {"ALLO 10", "200"},
                                               {"ALLO 10 R 5", "200"},
                                               {"ALLO x", "501"},
                                               {"ALLO 9223372036854775807", "552"}}},
                                         Talk{"options",
                                              {{"OPTS UTF8 ON", "200"},
                                               {"OPTS UTF8 OFF", "501"},
                                               {"OPTS MLST size;modify;", "200"},
                                               {"OPTS XYZZY", "501"}}},
                                         Talk{"site",
                                              {user,
                                               pass,
                                               {"SITE HELP", "214"},
                                               {"SITE UMASK", "200"},
                                               {"SITE UMASK 027", "200"},
                                               {"SITE UMASK 999", "501"},
                                               {"SITE IDLE 10", "200"},
                                               {"SITE IDLE 99999999", "501"},
                                               {"SITE CHMOD 600 file", "200"},
                                               {"SITE CHMOD x file", "501"},
                                               {"SITE CHMOD 600 none", "550"},
                                               {"SITE XYZZY", "504"}}}),
                         [](const auto& each) { return each.param.name; });

INSTANTIATE_TEST_SUITE_P(Files, FtpTalk,
                         testing::Values(Talk{"directories",
                                              {user,
                                               pass,
                                               {"PWD", "257"},
                                               {"CWD folder", "250"},
                                               {"CDUP", "250"},
                                               {"CDUP", "250"},
                                               {"CWD none", "550"},
                                               {"CWD file", "550"},
                                               {"MKD folder", "550"},
                                               {"MKD new", "257"},
                                               {"RMD new", "250"},
                                               {"RMD folder", "550"},
                                               {"RMD file", "550"},
                                               {"RMD /", "550"},
                                               {"DELE folder", "550"},
                                               {"DELE file", "250"},
                                               {"DELE file", "550"}}},
                                         Talk{"renaming",
                                              {user,
                                               pass,
                                               {"RNTO x", "503"},
                                               {"RNFR none", "550"},
                                               {"RNFR file", "350"},
                                               {"NOOP", "200"},
                                               {"RNTO x", "503"},
                                               {"RNFR file", "350"},
                                               {"RNTO folder/moved", "250"},
                                               {"DELE folder/moved", "250"}}},
                                         Talk{"facts",
                                              {user,
                                               pass,
                                               {"SIZE file", "550"},
                                               binary,
                                               {"SIZE file", "213"},
                                               {"SIZE folder", "550"},
                                               {"SIZE none", "550"},
                                               {"MDTM file", "213"},
                                               {"MDTM none", "550"},
                                               {"MFMT 20200229120000 file", "213"},
                                               {"MFMT 20210230120000 file", "501"},
                                               {"MFMT 20200229120000", "501"},
                                               {"MLST file", "250"},
                                               {"MLST none", "550"},
                                               {"STAT file", "213"},
                                               {"STAT folder", "212"},
                                               {"STAT none", "450"},
                                               {"STAT", "211"}}},
                                         Talk{"no_data_connection_for_what_is_not_there",
                                              {user,
                                               pass,
                                               binary,
                                               {"EPSV", "229"},
                                               {"RETR none", "550"},
                                               {"RETR folder", "550"},
                                               {"LIST none", "450"},
                                               {"MLSD file", "501"},
                                               {"MLSD none", "550"},
                                               {"REST 11", "350"},
                                               {"RETR file", "554"}}},
                                         Talk{"retr_without_pasv",
                                              {user, pass, {"RETR file", "425"}, {"LIST", "425"}}},
                                         Talk{"outside",
                                              {user,
                                               pass,
                                               {"CWD ../../..", "250"},
                                               {"RETR ../../../etc/passwd", "550"},
                                               {"RETR //etc//passwd", "550"},
                                               {"MKD ../x", "257"}}}),
                         [](const auto& each) { return each.param.name; });

TEST(Ftp, greets) {
  const FtpServer server;
  EXPECT_EQ(FtpClient{server}.greeting(), "220 procpool-ftpd");
}

TEST(Ftp, says_goodbye) {
  const FtpServer server;
  FtpClient client{server};
  EXPECT_EQ(code(client.ask("QUIT")), "221");
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(server.has_sessions(0));
}

TEST(Ftp, answers_a_hundred_commands_that_come_at_once) {
  const FtpServer server;
  FtpClient client{server};
  std::string all;
  for (int i = 0; i < 100; ++i) all += "NOOP\r\n";
  client.send(all);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(code(client.receive()), "200");
}

TEST(Ftp, executes_nothing_of_a_line_that_is_too_long) {
  const FtpServer server;
  server.write("x", "x");
  FtpClient client{server};
  client.log_in();
  client.send("STAT " + std::string(ftp::CommandReader::kMostBytes, 'a'));
  client.send("\r\nDELE x\r\nDELE x\r\n");
  EXPECT_EQ(code(client.receive()), "500");
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(server.has_sessions(0));
  EXPECT_EQ(server.read("x"), "x");
}

TEST(Ftp, is_read_only_for_who_may_not_write) {
  const FtpServer server;
  server.write("a", "1");
  FtpClient client{server};
  client.log_in("bob");
  EXPECT_EQ(client.get("a"), "1");
  for (const char* line : {"STOR b", "APPE a", "STOU", "DELE a", "MKD d", "RMD d", "RNFR a",
                           "SITE CHMOD 600 a", "MFMT 20200101000000 a"})
    EXPECT_EQ(code(client.ask(line)), "550") << line;
}

TEST(Ftp, sends_a_file) {
  const FtpServer server;
  const std::string content(3'000'000, 'x');
  server.write("large", content);
  server.write("empty", "");
  FtpClient client{server};
  client.log_in();
  EXPECT_EQ(client.get("large"), content);
  EXPECT_EQ(code(client.end()), "226");
  EXPECT_EQ(client.get("empty"), "");
  EXPECT_EQ(code(client.end()), "226");
}

TEST(Ftp, sends_the_rest_of_a_file_once) {
  const FtpServer server;
  server.write("file", "0123456789");
  FtpClient client{server};
  client.log_in();
  EXPECT_EQ(code(client.ask("REST 4")), "350");
  EXPECT_EQ(client.get("file"), "456789");
  EXPECT_EQ(client.get("file"), "0123456789");
}

TEST(Ftp, takes_a_file) {
  const FtpServer server;
  const std::string content(3'000'001, 'y');
  FtpClient client{server};
  client.log_in();
  client.put("STOR a", content);
  EXPECT_EQ(code(client.end()), "226") << client.end();
  EXPECT_EQ(server.read("a"), content);
  client.put("STOR a", "");
  EXPECT_EQ(code(client.end()), "226");
  EXPECT_EQ(server.read("a"), "");
  client.put("STOR  x", "a name with a space in front");
  EXPECT_EQ(server.read(" x"), "a name with a space in front");
}

TEST(Ftp, shows_an_upload_when_it_is_whole) {
  const FtpServer server;
  server.write("a", "before");
  FtpClient client{server};
  client.log_in();
  UniqueFd data = client.passive();
  EXPECT_EQ(code(client.ask("STOR a")), "150");
  write_full(data.fd(), "half of it", "data");
  EXPECT_EQ(server.read("a"), "before");
  data.reset();
  EXPECT_EQ(code(client.receive()), "226");
  EXPECT_EQ(server.read("a"), "half of it");
}

TEST(Ftp, leaves_nothing_of_an_upload_whose_session_is_killed) {
  const FtpServer server;
  server.write("a", "before");
  FtpClient client{server};
  client.log_in();
  const UniqueFd data = client.passive();
  EXPECT_EQ(code(client.ask("STOR a")), "150");
  write_full(data.fd(), "half of it", "data");
  ASSERT_TRUE(eventually([&] {
    const auto sessions = models::sessions_of(server.board());
    return sessions.size() == 1 && sessions[0].done == 10;
  }));
  ::kill(models::sessions_of(server.board())[0].pid, SIGKILL);
  EXPECT_TRUE(server.has_sessions(0));
  EXPECT_EQ(server.read("a"), "before");
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator{server.root()})
    ++files;
  EXPECT_EQ(files, 1U);
}

TEST(Ftp, resumes_an_upload_in_place) {
  const FtpServer server;
  server.write("a", "0123456789");
  FtpClient client{server};
  client.log_in();
  EXPECT_EQ(code(client.ask("REST 5")), "350");
  client.put("STOR a", "abc");
  EXPECT_EQ(server.read("a"), "01234abc89");
  EXPECT_EQ(code(client.ask("REST 11")), "350");
  client.put("STOR a", "x");
  EXPECT_EQ(code(client.end()), "554");
  client.put("APPE a", "END");
  EXPECT_EQ(server.read("a"), "01234abc89END");
  client.put("APPE b", "new");
  EXPECT_EQ(server.read("b"), "new");
}

TEST(Ftp, gives_unique_names_to_two_clients) {
  const FtpServer server;
  std::set<std::string> names;
  for (int i = 0; i < 5; ++i) {
    FtpClient client{server};
    client.log_in();
    UniqueFd data = client.passive();
    const std::string opening = client.ask("STOU");
    EXPECT_TRUE(opening.starts_with("150 FILE: ")) << opening;
    names.insert(opening.substr(10));
    data.reset();
    EXPECT_EQ(code(client.receive()), "226");
  }
  EXPECT_EQ(names.size(), 5U);
}

TEST(Ftp, translates_line_ends_in_type_a) {
  const FtpServer server;
  server.write("unix", "a\nb\r\nc");
  FtpClient client{server};
  client.log_in();
  EXPECT_EQ(code(client.ask("TYPE A")), "200");
  EXPECT_EQ(client.get("unix"), "a\r\nb\r\nc");
  client.put("STOR back", "a\r\nb\rc\r\n\r");
  EXPECT_EQ(server.read("back"), "a\nb\rc\n\r");
}

TEST(Ftp, reports_a_client_that_leaves_in_the_middle) {
  const FtpServer server;
  server.write("large", std::string(std::size_t{64} << 20, 'x'));
  FtpClient client{server};
  client.log_in();
  UniqueFd data = client.passive();
  EXPECT_EQ(code(client.ask("RETR large")), "150");
  data.reset();
  EXPECT_EQ(code(client.receive()), "426");
  EXPECT_EQ(code(client.ask("NOOP")), "200");
}

TEST(Ftp, gives_up_when_nobody_comes_for_the_data) {
  const FtpServer server{[](ftp::Settings& settings) { settings.accept_timeout = 50ms; }};
  server.write("a", "x");
  FtpClient client{server};
  client.log_in();
  EXPECT_EQ(code(client.ask("EPSV")), "229");
  EXPECT_EQ(code(client.ask("RETR a")), "425");
}

TEST(Ftp, aborts_a_transfer) {
  const FtpServer server;
  server.write("large", std::string(std::size_t{64} << 20, 'x'));
  FtpClient client{server};
  client.log_in();
  EXPECT_EQ(code(client.ask("ABOR")), "226");
  const UniqueFd data = client.passive();
  EXPECT_EQ(code(client.ask("RETR large")), "150");
  EXPECT_EQ(code(client.ask("STAT")), "211");
  // As RFC 959 §4.1.3 wants it: IAC IP, and DM as urgent data.
  client.send("\xff\xf4\xff");
  ASSERT_EQ(::send(client.fd(), "\xf2", 1, MSG_OOB), 1);
  EXPECT_EQ(code(client.ask("ABOR")), "426");
  EXPECT_EQ(code(client.receive()), "226");
  EXPECT_EQ(code(client.ask("NOOP")), "200");
}

TEST(Ftp, finishes_a_transfer_before_it_quits) {
  const FtpServer server;
  const std::string content(std::size_t{8} << 20, 'x');
  server.write("large", content);
  FtpClient client{server};
  client.log_in();
  const UniqueFd data = client.passive();
  EXPECT_EQ(code(client.ask("RETR large")), "150");
  client.send("NOOP\r\nQUIT\r\n");
  EXPECT_EQ(read_to_end(data.fd(), "data"), content);
  EXPECT_EQ(code(client.receive()), "226");
  EXPECT_EQ(code(client.receive()), "200");
  EXPECT_EQ(code(client.receive()), "221");
  EXPECT_TRUE(client.ended());
}

TEST(Ftp, ends_a_session_whose_client_is_gone) {
  const FtpServer server;
  server.write("large", std::string(std::size_t{64} << 20, 'x'));
  {
    FtpClient client{server};
    client.log_in();
    const UniqueFd data = client.passive();
    EXPECT_EQ(code(client.ask("RETR large")), "150");
  }
  EXPECT_TRUE(server.has_sessions(0));
}

TEST(Ftp, closes_the_port_of_a_passive_mode_that_is_said_again) {
  const FtpServer server;
  FtpClient client{server};
  client.log_in();
  for (int i = 0; i < 500; ++i) ASSERT_EQ(code(client.ask("PASV")), "227");
  const pid_t pid = models::sessions_of(server.board()).at(0).pid;
  std::size_t descriptors = 0;
  for ([[maybe_unused]] const auto& each :
       std::filesystem::directory_iterator{"/proc/" + std::to_string(pid) + "/fd"})
    ++descriptors;
  EXPECT_LT(descriptors, 20U);
}

TEST(Ftp, lets_nobody_else_have_the_data) {
  const FtpServer server;
  server.write("a", "content");
  FtpClient client{server};
  client.log_in();
  const std::string reply = client.ask("EPSV");
  const auto port = static_cast<std::uint16_t>(std::stoi(reply.substr(reply.find("(|||") + 4)));
  const UniqueFd thief{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const net::Address elsewhere = net::Address::parse("127.0.0.2:0");
  ASSERT_EQ(::bind(thief.fd(), elsewhere.data(), elsewhere.size()), 0);
  const net::Address target = net::Address::parse("127.0.0.1:" + std::to_string(port));
  ASSERT_EQ(::connect(thief.fd(), target.data(), target.size()), 0);
  client.send("RETR a\r\n");
  EXPECT_EQ(read_to_end(thief.fd(), "thief"), "");
  const UniqueFd data = FtpClient::connect_to(target);
  EXPECT_EQ(read_to_end(data.fd(), "data"), "content");
  EXPECT_EQ(code(client.receive()), "150");
  EXPECT_EQ(code(client.receive()), "226");
}

TEST(Ftp, waits_for_the_data_connection_after_one_that_was_reset) {
  const FtpServer server;
  server.write("a", "content");
  FtpClient client{server};
  client.log_in();
  const std::string reply = client.ask("EPSV");
  const auto port = static_cast<std::uint16_t>(std::stoi(reply.substr(reply.find("(|||") + 4)));
  const net::Address target = net::Address::parse("127.0.0.1:" + std::to_string(port));
  {
    const UniqueFd gone = FtpClient::connect_to(target);
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ASSERT_EQ(::setsockopt(gone.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
  }
  client.send("RETR a\r\n");
  const UniqueFd data = FtpClient::connect_to(target);
  EXPECT_EQ(read_to_end(data.fd(), "data"), "content");
  EXPECT_EQ(code(client.receive()), "150");
  EXPECT_EQ(code(client.receive()), "226");
}

TEST(Ftp, connects_to_the_client_who_wants_that) {
  const FtpServer server;
  server.write("a", "content");
  FtpClient client{server};
  client.log_in();
  const net::Listener mine = net::Listener::open(net::Address::parse("127.0.0.1:0"));
  const unsigned port = mine.address().port();
  EXPECT_EQ(code(client.ask("PORT 127,0,0,1," + std::to_string(port / 256) + "," +
                            std::to_string(port % 256))),
            "200");
  EXPECT_EQ(code(client.ask("RETR a")), "150");
  auto accepted = mine.try_accept();
  ASSERT_TRUE(std::holds_alternative<UniqueFd>(accepted));
  set_blocking(std::get<UniqueFd>(accepted).fd(), Blocking::yes);
  EXPECT_EQ(read_to_end(std::get<UniqueFd>(accepted).fd(), "data"), "content");
  EXPECT_EQ(code(client.receive()), "226");
}

TEST(Ftp, serves_over_ipv6) {
  const FtpServer server{{}, "[::1]:0"};
  server.write("a", "content");
  FtpClient client{server};
  client.log_in();
  EXPECT_EQ(code(client.ask("PASV")), "522");
  EXPECT_EQ(client.get("a"), "content");
}

TEST(Ftp, lists_a_directory) {
  const FtpServer server;
  server.write("b", "12345");
  server.write("folder/x", "");
  std::filesystem::create_symlink("b", server.root() / "link");
  FtpClient client{server};
  client.log_in();
  const std::string list = client.fetch("LIST");
  EXPECT_EQ(code(client.end()), "226");
  EXPECT_TRUE(contains(list, " b\r\n")) << list;
  EXPECT_TRUE(contains(list, "            5 ")) << list;
  EXPECT_TRUE(contains(list, "drwx")) << list;
  EXPECT_TRUE(contains(list, " link -> b\r\n")) << list;
  EXPECT_EQ(client.fetch("LIST -la"), list);
  EXPECT_TRUE(contains(client.fetch("LIST -la b"), " b\r\n"));
  EXPECT_EQ(client.fetch("NLST folder"), "x\r\n");
  EXPECT_EQ(client.fetch("NLST b*"), "b\r\n");
  EXPECT_EQ(client.fetch("NLST folder/*"), "folder/x\r\n");
  EXPECT_EQ(client.fetch("NLST z*"), "");
  EXPECT_EQ(code(client.end()), "226");
  const std::string machine = client.fetch("MLSD folder");
  EXPECT_TRUE(contains(machine, "type=cdir;")) << machine;
  EXPECT_TRUE(contains(machine, "type=file;size=0;modify=")) << machine;
  EXPECT_EQ(client.ask("OPTS MLST size;"), "200 MLST OPTS size;");
  EXPECT_TRUE(contains(client.fetch("MLSD folder"), "size=0; x\r\n"));
}

TEST(Ftp, takes_names_of_any_bytes) {
  const FtpServer server;
  FtpClient client{server};
  client.log_in();
  EXPECT_EQ(client.ask("MKD a\"b"), "257 \"/a\"\"b\" is made.");
  for (const std::string name :
       {"f\xc3\xbc\xc3\x9f", "\xe4\xf6", "-R", "a b", "a;id", "\xff\xff"}) {
    std::string said;
    for (const char c : name) said.append(c == '\xff' ? 2 : 1, c);  // Telnet's IAC IAC
    client.put("STOR " + said, name);
    EXPECT_EQ(server.read(name), name);
  }
  client.send(std::string{"STAT a\0b\r\n", 10});
  EXPECT_EQ(code(client.receive()), "501");
}

TEST(Ftp, follows_no_link_out_of_the_home) {
  const FtpServer server;
  std::filesystem::create_symlink("/etc", server.root() / "etc");
  std::filesystem::create_symlink("../../../../../../etc/passwd", server.root() / "passwd");
  FtpClient client{server};
  client.log_in();
  for (const char* name : {"etc/passwd", "passwd"}) {
    client.get(name);
    EXPECT_EQ(code(client.end()), "550") << name;
  }
  EXPECT_EQ(code(client.ask("CWD etc")), "550");
}

TEST(Ftp, lets_anonymous_read_what_is_his) {
  TempDir open;
  std::ofstream{open.path() / "a"} << "for all";
  const FtpServer server{[&](ftp::Settings& settings) { settings.anonymous = open.path(); }};
  FtpClient client{server};
  client.log_in("anonymous");
  EXPECT_EQ(client.get("a"), "for all");
  EXPECT_EQ(code(client.ask("DELE a")), "550");
  const FtpServer without;
  FtpClient refused{without};
  EXPECT_EQ(code(refused.ask("USER anonymous")), "331");
  EXPECT_EQ(code(refused.ask("PASS secret")), "530");
}

TEST(Ftp, says_that_a_home_is_missing) {
  const FtpServer server{
      [](ftp::Settings& settings) { settings.users["ada"].home = "/nonexistent"; }};
  FtpClient client{server};
  EXPECT_EQ(code(client.ask("USER ada")), "331");
  EXPECT_EQ(client.ask("PASS secret"), "530 Your home is missing.");
  EXPECT_EQ(code(client.ask("NOOP")), "200");
}

TEST(Ftp, ends_who_does_not_log_in_and_who_says_nothing) {
  const FtpServer server{[](ftp::Settings& settings) {
    settings.login_timeout = 50ms;
    settings.idle_timeout = 50ms;
  }};
  FtpClient stranger{server};
  EXPECT_EQ(stranger.receive(), "421 Nobody has logged in.");
  EXPECT_TRUE(stranger.ended());
}

TEST(Ftp, ends_sessions_gracefully_when_the_server_stops) {
  FtpServer server;
  const std::string content(std::size_t{16} << 20, 'x');
  server.write("large", content);
  FtpClient idle{server};
  FtpClient busy{server};
  idle.log_in();
  busy.log_in();
  const UniqueFd data = busy.passive();
  EXPECT_EQ(code(busy.ask("RETR large")), "150");
  server.signal(SIGTERM);
  EXPECT_EQ(idle.receive(), "421 The server stops.");
  EXPECT_EQ(read_to_end(data.fd(), "data"), content);
  EXPECT_EQ(code(busy.receive()), "226");
  EXPECT_EQ(code(busy.receive()), "421");
  EXPECT_EQ(server.wait(), exited(0));
}

TEST(Ftp, writes_a_line_for_each_transfer) {
  const FtpServer server;
  server.write("a b", "12345");
  FtpClient client{server};
  client.log_in();
  client.get("a b");
  client.put("STOR new", "123");
  const std::string log = server.transfers();
  EXPECT_TRUE(contains(log, " 127.0.0.1 5 /a_b b _ o r ada ftp 0 * c\n")) << log;
  EXPECT_TRUE(contains(log, " 127.0.0.1 3 /new b _ i r ada ftp 0 * c\n")) << log;
}

TEST(Ftp, keeps_a_user_to_his_rate) {
  const FtpServer server{[](ftp::Settings& settings) { settings.users["ada"].rate = 200'000; }};
  server.write("a", std::string(60'000, 'x'));
  FtpClient client{server};
  client.log_in();
  const auto began = Deadline::Clock::now();
  EXPECT_EQ(client.get("a").size(), 60'000U);
  EXPECT_GE(Deadline::Clock::now() - began, 250ms);
}

}  // namespace
}  // namespace procpool::test
