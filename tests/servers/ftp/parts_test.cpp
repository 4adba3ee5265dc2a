// What the FTP server is made of: pure functions, and files of users.
#include <poll.h>
#include <shadow.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/deadline.hpp"
#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/ftp/command.hpp"
#include "servers/ftp/data_link.hpp"
#include "servers/ftp/detail/login_line.hpp"
#include "servers/ftp/listing.hpp"
#include "servers/ftp/path.hpp"
#include "servers/ftp/reply.hpp"
#include "servers/ftp/system_users.hpp"
#include "servers/ftp/transfer_log.hpp"
#include "servers/ftp/users.hpp"
#include "servers/models/password.hpp"
#include "tests/support/contains.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::ftp {
namespace {

using test::contains;

std::vector<std::string> lines_of(std::string_view bytes) {
  CommandReader reader;
  std::vector<std::string> lines;
  for (const char byte : bytes) {
    reader.feed({&byte, 1});
    while (const auto line = reader.next()) lines.push_back(*line);
  }
  return lines;
}

TEST(Command, is_a_verb_in_any_case_and_an_argument_as_it_is) {
  EXPECT_EQ(parse_command("stor  x ").verb, "STOR");
  EXPECT_EQ(parse_command("stor  x ").argument, " x ");
  EXPECT_EQ(parse_command("NOOP").argument, "");
  EXPECT_EQ(parse_command("").verb, "");
}

TEST(CommandReader, cuts_lines_wherever_the_bytes_were_cut) {
  EXPECT_EQ(lines_of("NOOP\r\nPWD\nQUIT\r\n"), (std::vector<std::string>{"NOOP", "PWD", "QUIT"}));
  EXPECT_TRUE(lines_of("NOOP").empty());
}

TEST(CommandReader, takes_telnet_commands_out) {
  EXPECT_EQ(lines_of("\xff\xf4\xff\xf2"
                     "ABOR\r\n"),
            std::vector<std::string>{"ABOR"});
  EXPECT_EQ(lines_of("\xff\xfd\x01NO\xff\xfb\x03OP\r\n"), std::vector<std::string>{"NOOP"});
  EXPECT_EQ(lines_of("STAT a\xff\xff"
                     "b\r\n"),
            std::vector<std::string>{"STAT a\xff"
                                     "b"});
  EXPECT_EQ(lines_of(std::string(4096, '\xff') + "\r\n").front().size(), 2048U);
}

TEST(CommandReader, has_a_cr_in_a_name_by_cr_nul) {
  EXPECT_EQ(lines_of(std::string_view{"STAT a\r\0b\r\n", 11}),
            std::vector<std::string>{"STAT a\rb"});
}

TEST(CommandReader, has_no_line_any_more_after_one_that_is_too_long) {
  CommandReader reader;
  reader.feed(std::string(CommandReader::kMostBytes + 1, 'a'));
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.overflowed());
  reader.feed("\r\nDELE x\r\n");
  EXPECT_FALSE(reader.next());
}

TEST(Reply, has_no_line_in_it_that_looks_like_its_end) {
  EXPECT_EQ(reply(200, "a\r\nb"), "200 a??b\r\n");
  EXPECT_EQ(reply(211, "Features:", {" A", "211 b"}, "End"),
            "211-Features:\r\n A\r\n 211 b\r\n211 End\r\n");
  EXPECT_EQ(quoted_path("/a\"b"), "\"/a\"\"b\"");
}

TEST(Path, is_resolved_from_a_directory_and_never_above_the_root) {
  EXPECT_EQ(resolve("/a/b", "c"), "/a/b/c");
  EXPECT_EQ(resolve("/a/b", "/c//d/"), "/c/d");
  EXPECT_EQ(resolve("/a/b", "../c/./d"), "/a/c/d");
  EXPECT_EQ(resolve("/a/b", "../../../.."), "/");
  EXPECT_EQ(resolve("/", ""), "/");
  EXPECT_EQ(resolve("/a", ""), "/a");
  EXPECT_EQ(name_of("/a/b"), "b");
  EXPECT_EQ(parent_of("/a/b"), "/a");
  EXPECT_EQ(parent_of("/a"), "/");
}

TEST(Pattern, matches_as_a_shell_does) {
  for (const auto& [pattern, name] :
       std::initializer_list<std::pair<const char*, const char*>>{{"*", ""},
                                                                  {"*", "abc"},
                                                                  {"a*c", "abbc"},
                                                                  {"a?c", "abc"},
                                                                  {"[a-c]x", "bx"},
                                                                  {"[!a-c]x", "dx"},
                                                                  {"*.tar.gz", "a.tar.tar.gz"},
                                                                  {"[", "["},
                                                                  {"a[]]", "a]"}})
    EXPECT_TRUE(matches(pattern, name)) << pattern << " " << name;
  for (const auto& [pattern, name] : std::initializer_list<std::pair<const char*, const char*>>{
           {"", "a"}, {"a", "b"}, {"a*c", "abd"}, {"?", ""}, {"[a-c]x", "dx"}, {"[!a-c]x", "ax"}})
    EXPECT_FALSE(matches(pattern, name)) << pattern << " " << name;
}

// Which costs a matcher that goes back to every star the life of the universe.
TEST(Pattern, of_many_stars_is_matched_all_the_same) {
  std::string pattern;
  for (int i = 0; i < 50; ++i) pattern += "a*";
  EXPECT_FALSE(matches(pattern + "b", std::string(200, 'a')));
}

TEST(Listing, looks_like_ls) {
  struct stat facts{};
  facts.st_mode = S_IFREG | 0640;
  facts.st_nlink = 1;
  facts.st_size = 1234;
  facts.st_mtime = 784'111'777;  // 1994-11-06 08:49:37
  EXPECT_EQ(list_line("a", facts, 784'111'777 + 60),
            "-rw-r-----    1 0        0                1234 Nov  6 08:49 a\r\n");
  EXPECT_TRUE(contains(list_line("a", facts, 1'000'000'000), " Nov  6  1994 a\r\n"));
  facts.st_mode = S_IFLNK | 0777;
  EXPECT_TRUE(contains(list_line("a\nb", facts, 784'111'777, "c"), " a?b -> c\r\n"));
}

TEST(Listing, has_the_facts_that_were_asked_for) {
  struct stat facts{};
  facts.st_mode = S_IFREG | 0640;
  facts.st_size = 5;
  facts.st_mtime = 784'111'777;
  EXPECT_EQ(mlst_line("a", facts, false, bit(Fact::type) | bit(Fact::size) | bit(Fact::modify)),
            "type=file;size=5;modify=19941106084937; a");
  EXPECT_EQ(mlst_line("a b", facts, true, bit(Fact::perm)), "perm=rawdf; a b");
  EXPECT_EQ(mlst_line("a", facts, true, 0), " a");
}

TEST(Time, is_read_as_it_is_written) {
  EXPECT_EQ(time_text(784'111'777), "19941106084937");
  EXPECT_EQ(parse_time("19941106084937"), 784'111'777);
  EXPECT_EQ(parse_time("19941106084937.5"), 784'111'777);
  for (const char* wrong : {"", "1994", "20210230120000", "20210101246000", "2021010112000x",
                            "20210101120000.x", "99999999999999"})
    EXPECT_FALSE(parse_time(wrong)) << wrong;
}

TEST(Port, is_six_numbers_or_an_extended_one) {
  EXPECT_EQ(parse_port("192,0,2,1,4,1")->text(), "192.0.2.1:1025");
  for (const char* wrong :
       {"", "1,2,3,4,5", "1,2,3,4,5,6,7", "1,2,3,4,5,256", "a,2,3,4,5,6", "1,2,3,4,5,"})
    EXPECT_FALSE(parse_port(wrong)) << wrong;
  EXPECT_EQ(parse_extended_port("|1|192.0.2.1|1025|")->address->text(), "192.0.2.1:1025");
  EXPECT_EQ(parse_extended_port("|2|2001:db8::1|1025|")->address->text(), "[2001:db8::1]:1025");
  EXPECT_FALSE(parse_extended_port("|3|x|1|")->address);
  for (const char* wrong :
       {"", "|", "||||", "|1|192.0.2.1|1025", "|1|192.0.2.1|x|", "|1|::1|1|", " 1 1.2.3.4 1 "})
    EXPECT_FALSE(parse_extended_port(wrong)) << wrong;
}

TEST(TransferLog, has_one_line_whatever_a_file_is_called) {
  const std::string line = transfer_line(
      {.client = "192.0.2.1", .user = "a da", .file = "/a b\nc", .bytes = 5, .complete = false},
      TransferLogFormat::xferlog);
  EXPECT_EQ(std::ranges::count(line, '\n'), 1);
  EXPECT_TRUE(contains(line, " 192.0.2.1 5 /a_b_c b _ o r a_da ftp 0 * i\n")) << line;
}

TEST(TransferLog, is_json_if_that_is_wanted) {
  const std::string line = transfer_line({.ended = 784'111'777,
                                          .took = std::chrono::milliseconds{1500},
                                          .client = "192.0.2.1",
                                          .user = "ada",
                                          .file = "/a \"b\"\n\xff",
                                          .bytes = 5,
                                          .incoming = true,
                                          .complete = true},
                                         TransferLogFormat::json);
  EXPECT_EQ(line,
            "{\"time\":\"1994-11-06T08:49:37Z\",\"client\":\"192.0.2.1\",\"user\":\"ada\","
            "\"anonymous\":false,\"direction\":\"in\",\"file\":\"/a \\\"b\\\"\\n\xef\xbf\xbd\","
            "\"type\":\"I\",\"bytes\":5,\"seconds\":1.5,\"complete\":true}\n");
}

TEST(Users, are_read_as_they_are_written) {
  const test::TempDir folder;
  const std::string path = folder.path() / "users";
  const Users users{{"ada",
                     {.hash = models::hash_password("x"),
                      .home = "/srv/ada",
                      .may_write = true,
                      .rate = 5,
                      .quota = 7}},
                    {"bob", {.hash = models::hash_password("y"), .home = "/srv/bob"}}};
  write_users(path, users);
  const Users back = read_users(path);
  ASSERT_EQ(back.size(), 2U);
  EXPECT_EQ(back.at("ada").home, "/srv/ada");
  EXPECT_TRUE(back.at("ada").may_write);
  EXPECT_EQ(back.at("ada").rate, 5U);
  EXPECT_EQ(back.at("ada").quota, 7U);
  EXPECT_EQ(back.at("bob").quota, 0U);
  EXPECT_FALSE(back.at("bob").may_write);
  EXPECT_TRUE(models::is_password("y", back.at("bob").hash));
}

TEST(Users, that_are_wrong_are_named_with_their_line) {
  const std::string ada = "ada:" + models::hash_password("x");
  for (const auto& [text, problem] : std::initializer_list<std::pair<std::string, const char*>>{
           {"ada", "f:1"},
           {"# a comment\n\nada:x:/home:r:0:\n", "f:3 \"ada\": has a hash of no known method"},
           {ada + ":home:r::", "f:1 \"home\": must be an absolute path"},
           {ada + ":/home:x::", "f:1 \"x\": must be r or rw"},
           {ada + ":/home:r:fast:", "f:1 \"fast\": is no rate"},
           {ada + ":/home:r:0:much", "f:1 \"much\": is no quota"},
           {ada + ":/home:r:0", "f:1"},
           {ada + ":/home:r:0:1:2", "f:1"},
           {ada + ":/a:r::\n" + std::string{ada}.append(":/a:r:0:0"),
            "f:2 \"ada\": is there twice"}}) {
    try {
      parse_users(text, "f");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_TRUE(contains(error.what(), problem)) << error.what();
    }
  }
}

TEST(Users, with_a_colon_in_their_name_are_not_written) {
  const test::TempDir folder;
  const std::string path = folder.path() / "users";
  write_users(path, {});
  EXPECT_THROW(write_users(path, {{"a:b", {.hash = "x", .home = "/"}}}), Error);
  EXPECT_EQ(read_file(path), "");
}

// --- users of the system ---

spwd changed_on_day(long day) {
  spwd account{};
  account.sp_lstchg = day;
  account.sp_max = -1;
  account.sp_expire = -1;
  return account;
}

TEST(SystemUser, has_expired_on_the_day_that_shadow_names) {
  const spwd never = changed_on_day(20'000);
  EXPECT_FALSE(has_expired(never, 30'000));
  spwd account = never;
  account.sp_expire = 25'000;
  EXPECT_FALSE(has_expired(account, 24'999));
  EXPECT_TRUE(has_expired(account, 25'000));
  spwd password = never;
  password.sp_max = 30;
  EXPECT_FALSE(has_expired(password, 20'030));
  EXPECT_TRUE(has_expired(password, 20'031));
  password.sp_lstchg = 0;
  EXPECT_TRUE(has_expired(password, 1)) << "it must be changed first";
  password.sp_lstchg = -1;
  EXPECT_FALSE(has_expired(password, 30'000)) << "nobody knows how old it is";
}

TEST(SystemUser, is_named_by_a_whole_line_of_ftpusers) {
  constexpr auto kText = "# ada\nroot\n  bob\t# because\n\neve";
  for (const char* name : {"root", "bob", "eve"}) EXPECT_TRUE(is_named_in(kText, name)) << name;
  for (const char* name : {"ada", "roo", "because", ""})
    EXPECT_FALSE(is_named_in(kText, name)) << name;
}

TEST(LoginLine, carries_a_name_a_password_and_the_facts) {
  const auto [desk, stranger] = detail::make_login_line();
  std::thread asks{[&stranger = stranger] {
    EXPECT_TRUE(
        detail::is_refused(stranger.fd(), {.name = "ada", .password = "open sesame", .facts = 5}));
  }};
  EXPECT_NE(wait_ready(desk.fd(), POLLIN, Deadline::in(test::kPatience)), 0);
  const auto login = detail::take_login(desk.fd());
  EXPECT_EQ(login->name, "ada");
  EXPECT_EQ(login->password, "open sesame");
  EXPECT_EQ(login->facts, 5U);
  detail::refuse(desk.fd());
  asks.join();
}

TEST(LoginLine, is_at_its_end_when_the_other_side_is_gone) {
  auto [desk, stranger] = detail::make_login_line();
  stranger.reset();
  EXPECT_FALSE(detail::take_login(desk.fd()));
  auto [other_desk, other] = detail::make_login_line();
  other_desk.reset();
  EXPECT_FALSE(detail::is_refused(other.fd(), {.name = "ada", .password = "x"}));
}

}  // namespace
}  // namespace procpool::ftp
