// What the FTP client reads: URLs, netrc, replies, listings, and lines of its user.
#include <sys/stat.h>

#include <chrono>
#include <ctime>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "servers/ftp/listing.hpp"
#include "tests/support/temp_dir.hpp"
#include "tools/ftp/failure.hpp"
#include "tools/ftp/line_ends.hpp"
#include "tools/ftp/listing.hpp"
#include "tools/ftp/names.hpp"
#include "tools/ftp/netrc.hpp"
#include "tools/ftp/progress.hpp"
#include "tools/ftp/reply.hpp"
#include "tools/ftp/shell.hpp"
#include "tools/ftp/url.hpp"
#include "tools/ftp/words.hpp"

namespace procpool::test {
namespace {

using namespace ftp_client;
using Kind = Entry::Kind;
using Words = std::vector<std::string>;

template <typename Act>
ExitCode code_of(Act act) {
  try {
    act();
    return ExitCode::ok;
  } catch (const std::exception& error) {
    return exit_code_of(error);
  }
}

std::time_t at(std::string_view text) {
  return ftp::parse_time(text).value();
}

TEST(FtpUrl, has_its_parts_decoded) {
  const Url url = parse_url("ftp://a%40b:s%3Ac@host:2121/a%20b/%22c%22;type=a");
  EXPECT_EQ(url.host, "host");
  EXPECT_EQ(url.port, "2121");
  EXPECT_EQ(url.user, "a@b");
  EXPECT_EQ(url.password, "s:c");
  EXPECT_EQ(url.path, "a b/\"c\"");
  EXPECT_TRUE(url.text);
  EXPECT_FALSE(parse_url("ftp://host/a;type=I").text);
}

TEST(FtpUrl, may_be_a_host_alone) {
  EXPECT_EQ(parse_url("host").host, "host");
  EXPECT_EQ(parse_url("host").path, "");
  EXPECT_EQ(parse_url("ada@host:21/a").user, "ada");
  EXPECT_EQ(parse_url("host/a/b").path, "a/b");
  EXPECT_EQ(parse_url("ftp://[::1]:2121/a").host, "::1");
  EXPECT_EQ(parse_url("ftp://[::1]:2121/a").port, "2121");
  EXPECT_EQ(parse_url("ftp://host//etc").path, "/etc");
  EXPECT_EQ(parse_url("ftp://host/%2Fetc").path, "/etc");
}

TEST(FtpUrl, is_refused_when_it_is_wrong) {
  for (const std::string_view wrong :
       {"", "http://host/", "ftp://", "ftp:///a", "ftp://host:0/", "ftp://host:65536/",
        "ftp://host:x/", "ftp://host/%", "ftp://host/%2", "ftp://host/%zz",
        "ftp://host/a%0d%0aDELE b", "ftp://host/%00", "ftp://u%0a@host/", "ftp://[::1/",
        "ftp://[::1]x/", "ftp://h/a;type=d"})
    EXPECT_EQ(code_of([&] { parse_url(wrong); }), ExitCode::usage) << wrong;
}

TEST(FtpUrl, is_shown_without_its_password) {
  EXPECT_EQ(shown(parse_url("ftp://ada:secret@host:2121/a%20b")), "ftp://ada@host:2121/a%20b");
  EXPECT_EQ(shown(parse_url("[::1]/x")), "ftp://[::1]/x");
}

constexpr std::string_view kNetrc =
    "# mine\n"
    "machine one login ada password \"a \\\"b\\\"\" account acme\n"
    "macdef init\n machine no login no\n\n"
    "machine two\n  login bob\n  password b\n"
    "machine two login eve password e\n"
    "default login anonymous password me@\n";

TEST(Netrc, finds_the_entry_of_a_host_and_a_user) {
  const auto one = find_login(kNetrc, "one", std::nullopt);
  ASSERT_TRUE(one);
  EXPECT_EQ(one->user, "ada");
  EXPECT_EQ(one->password, "a \"b\"");
  EXPECT_EQ(one->account, "acme");
  EXPECT_EQ(find_login(kNetrc, "two", std::nullopt)->user, "bob");
  EXPECT_EQ(find_login(kNetrc, "two", "eve")->password, "e");
  EXPECT_EQ(find_login(kNetrc, "no", std::nullopt)->user, "anonymous");
  EXPECT_FALSE(find_login(kNetrc, "one", "eve"));
  EXPECT_FALSE(find_login("", "one", std::nullopt));
}

TEST(Netrc, names_the_line_that_makes_no_sense) {
  for (const std::string_view wrong :
       {"machine", "machine a login", "machine a\nwhat", "machine \"a"})
    EXPECT_EQ(code_of([&] { find_login(wrong, "a", std::nullopt); }), ExitCode::usage) << wrong;
}

TEST(Netrc, is_refused_when_others_may_read_it) {
  const TempDir folder;
  const std::string path = folder.path() / "netrc";
  EXPECT_FALSE(read_netrc(path));
  std::ofstream{path} << kNetrc;
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  EXPECT_EQ(code_of([&] { read_netrc(path); }), ExitCode::failed);
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  EXPECT_EQ(read_netrc(path), kNetrc);
}

std::vector<Reply> replies_of(std::string_view text) {
  ReplyReader reader;
  reader.feed(text);
  std::vector<Reply> replies;
  while (auto reply = reader.next()) replies.push_back(*std::move(reply));
  return replies;
}

TEST(ReplyReader, reads_one_line_and_several) {
  const auto replies =
      replies_of("220 hello\r\n211-Features:\r\n MLST\r\n220 not yet\r\n211 End\r\n200\n");
  ASSERT_EQ(replies.size(), 3U);
  EXPECT_EQ(replies[0].code, 220);
  EXPECT_EQ(replies[0].last(), "220 hello");
  EXPECT_EQ(replies[1].code, 211);
  EXPECT_EQ(replies[1].lines.size(), 4U);
  EXPECT_EQ(replies[2].kind(), 2);
}

TEST(ReplyReader, takes_what_comes_byte_by_byte) {
  ReplyReader reader;
  const std::string text = "230-one\r\n230 two\r\n";
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    reader.feed(text.substr(i, 1));
    EXPECT_FALSE(reader.next());
  }
  reader.feed("\n");
  EXPECT_EQ(reader.next()->lines.size(), 2U);
}

TEST(ReplyReader, refuses_what_is_no_reply) {
  for (const std::string& wrong :
       {std::string{"HTTP/1.1 200\r\n"}, std::string{"\r\n"}, std::string{"22\r\n"},
        std::string{"999 x\r\n"}, std::string{"220x\r\n"}, std::string(10'000, '2'),
        "220-" + std::string(9'000, 'x') + "\r\n"})
    EXPECT_EQ(code_of([&] { replies_of(wrong); }), ExitCode::protocol) << wrong.substr(0, 20);
}

TEST(ReplyReader, refuses_a_reply_that_never_ends) {
  ReplyReader reader;
  reader.feed("211-x\r\n");
  EXPECT_EQ(code_of([&] {
              for (;;) {
                reader.feed(" a line that says nothing at all, once more\r\n");
                if (reader.next()) return;
              }
            }),
            ExitCode::protocol);
}

TEST(Reply, names_ports_and_paths) {
  EXPECT_EQ(parse_epsv("229 Entering (|||1234|)"), 1234);
  EXPECT_EQ(parse_epsv("229 Entering (!!!1!)"), 1);
  for (const std::string_view wrong : {"229 no", "229 (|||0|)", "229 (|||65536|)", "229 (|||1234",
                                       "229 (||1234|)", "229 (", "229 (1111)"})
    EXPECT_FALSE(parse_epsv(wrong)) << wrong;
  const auto address = parse_pasv("227 Entering Passive Mode (127,0,0,1,4,210)");
  ASSERT_TRUE(address);
  EXPECT_EQ(address->host, "127.0.0.1");
  EXPECT_EQ(address->port, 1234);
  EXPECT_EQ(parse_pasv("227 =1,2,3,4,0,21")->port, 21);
  for (const std::string_view wrong :
       {"227 no", "227 (1,2,3,4,5)", "227 (1,2,3,4,256,0)", "227 (1,2,3,4,0,0)", ""})
    EXPECT_FALSE(parse_pasv(wrong)) << wrong;
  EXPECT_EQ(parse_quoted_path("257 \"/a\"\"b\" is it"), "/a\"b");
  EXPECT_EQ(parse_quoted_path("257 \"\""), "");
  EXPECT_FALSE(parse_quoted_path("257 \"/a"));
  EXPECT_FALSE(parse_quoted_path("257 /a"));
}

TEST(Listing, of_mlsd_has_facts_of_any_case_and_order) {
  const auto file = parse_mlsd_line(
      "SIZE=12;Type=file;modify=20260102030405.123;UNIX.mode=0640;"
      "unique=1U2; a; b=c");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->name, "a; b=c");
  EXPECT_EQ(file->kind, Kind::file);
  EXPECT_EQ(file->size, 12U);
  EXPECT_EQ(file->modified, at("20260102030405"));
  EXPECT_EQ(file->mode, 0640U);
  EXPECT_EQ(file->unique, "1U2");
  EXPECT_EQ(parse_mlsd_line("modify=20260102030405." + std::string(99, '9') + "; a")->modified,
            at("20260102030405"));
  EXPECT_EQ(parse_mlsd_line("type=dir;  two")->name, " two");
  const auto link = parse_mlsd_line("type=OS.unix=slink:/etc/passwd; l");
  EXPECT_EQ(link->kind, Kind::link);
  EXPECT_EQ(link->link, "/etc/passwd");
  EXPECT_EQ(parse_mlsd_line("type=OS.unix=chr; dev")->kind, Kind::other);
  for (const std::string_view none : {"type=cdir; .", "type=pdir; ..", "type=dir; .",
                                      "type=dir; ..", "", "x", "x y", "type=file; "})
    EXPECT_FALSE(parse_mlsd_line(none)) << none;
}

TEST(Listing, of_unix_is_read_as_its_servers_write_it) {
  const std::time_t now = at("20261121120000");
  const auto vsftpd =
      parse_list_line("-rw-r--r--    1 ftp      ftp         12345 Nov  6 09:49 a b", now);
  ASSERT_TRUE(vsftpd);
  EXPECT_EQ(vsftpd->name, "a b");
  EXPECT_EQ(vsftpd->size, 12345U);
  EXPECT_EQ(vsftpd->modified, at("20261106094900"));
  EXPECT_EQ(vsftpd->precision, 60);
  EXPECT_EQ(vsftpd->mode, 0644U);
  const auto old =
      parse_list_line("drwxr-sr-x   2 0        0            4096 Dec 31  2024  lead", now);
  ASSERT_TRUE(old);
  EXPECT_EQ(old->name, " lead");
  EXPECT_EQ(old->kind, Kind::directory);
  EXPECT_EQ(old->modified, at("20241231000000"));
  const auto last_year = parse_list_line("-rw-r--r-- 1 0 0 5 Dec 24 18:00 x", now);
  EXPECT_EQ(last_year->modified, at("20251224180000"));
  const auto link = parse_list_line("lrwxrwxrwx 1 0 0 7 Nov  6 09:49 l -> a -> b", now);
  EXPECT_EQ(link->name, "l");
  EXPECT_EQ(link->link, "a -> b");
  EXPECT_EQ(parse_list_line("-rw-r--r-- 1 owner 9 Nov 6 09:49 no group", now)->name, "no group");
  EXPECT_EQ(parse_list_line("-rw-r--r--+ 1 May Nov 9 Nov 6 09:49 named", now)->size, 9U);
  EXPECT_EQ(parse_list_line("-rw-r--r-- 1 0 0 9 2026-11-06 09:49 iso", now)->name, "iso");
  EXPECT_EQ(parse_list_line("crw-rw-rw- 1 0 0 1, 3 Nov 6 09:49 null", now)->kind, Kind::other);
  for (const std::string_view none :
       {"total 12", "", "-rw-r--r--", "-rw-r--r-- 1 0 0 5 Nov 6 09:49 .",
        "-rw-r--r-- 1 0 0 5 Xyz 6 09:49 x", "-rw-r--r-- 1 0 0 5 Nov 32 09:49 x",
        "-rw-r--r-- 1 0 0 5 Feb 30  2025 x", "-rw-r--r-- 1 0 0 5 Nov 6 25:00 x",
        "-rw-r--r-- 1 0 0 5 Nov 6 09:49", "xrw-r--r-- 1 0 0 5 Nov 6 09:49 x"})
    EXPECT_FALSE(parse_list_line(none, now)) << none;
}

TEST(Listing, of_our_own_server_is_read_again) {
  struct stat facts{};
  facts.st_mode = S_IFREG | 0604;
  facts.st_size = 77;
  facts.st_mtime = at("20260102030400");
  std::string line = ftp::list_line("a \"b\"", facts, at("20260103000000"));
  line.resize(line.size() - 2);
  const auto entry = parse_list_line(line, at("20260103000000"));
  ASSERT_TRUE(entry) << line;
  EXPECT_EQ(entry->name, "a \"b\"");
  EXPECT_EQ(entry->size, 77U);
  EXPECT_EQ(entry->modified, facts.st_mtime);
  EXPECT_EQ(entry->mode, 0604U);
  const auto again = parse_mlsd_line(ftp::mlst_line("a \"b\"", facts, true, ftp::kAllFacts));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->modified, facts.st_mtime);
}

TEST(Listing, of_dos_is_read_too) {
  const auto folder = parse_list_line("02-14-24  09:05AM       <DIR>          My Folder", 0);
  ASSERT_TRUE(folder);
  EXPECT_EQ(folder->name, "My Folder");
  EXPECT_EQ(folder->kind, Kind::directory);
  EXPECT_EQ(folder->modified, at("20240214090500"));
  const auto file = parse_list_line("02-14-2024  12:05PM             1234  x y", 0);
  EXPECT_EQ(file->name, " x y");
  EXPECT_EQ(file->size, 1234U);
  EXPECT_EQ(file->modified, at("20240214120500"));
  EXPECT_EQ(parse_list_line("02-14-24  12:05AM 1 x", 0)->modified, at("20240214000500"));
  for (const std::string_view none : {"02-14-24  09:05XM 1 x", "02-30-24  09:05AM 1 x",
                                      "02-14-24  09:05AM x x", "02-14-24  09:05AM 1"})
    EXPECT_FALSE(parse_list_line(none, 0)) << none;
}

TEST(Listing, ends_its_lines_as_servers_do) {
  const auto entries =
      parse_listing("type=file; a\r\ntype=file; b\nnonsense\n\ntype=file; c", Format::mlsd, 0);
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[2].name, "c");
}

TEST(Names, that_leave_their_directory_are_not_safe) {
  for (const std::string& name :
       {std::string{}, std::string{"."}, std::string{".."}, std::string{"a/b"}, std::string{"/"},
        std::string{"a\nb"}, std::string{"a\0b", 3}, std::string{"\x1b[2J"}, std::string{"\x7f"},
        std::string(256, 'a')})
    EXPECT_FALSE(is_safe_name(name)) << name;
  for (const std::string& name : {std::string{"..."}, std::string{"-R"}, std::string{" "},
                                  std::string{"\xff\xfe"}, std::string(255, 'a')})
    EXPECT_TRUE(is_safe_name(name)) << name;
}

TEST(Names, are_shown_without_what_a_terminal_obeys) {
  EXPECT_EQ(printable("a\x1b[31mb\r\n\xc2\x9b\xc3\xbc"), "a?[31mb???\xc3\xbc");
}

TEST(Words, are_kept_together_by_quotes) {
  EXPECT_EQ(split_words("  get \"a b\" 'it\"s' a\\ b \"\\\"\" ''"),
            (Words{"get", "a b", "it\"s", "a b", "\"", ""}));
  EXPECT_EQ(split_words(""), Words{});
  EXPECT_EQ(code_of([] { split_words("get \"a"); }), ExitCode::usage);
}

TEST(Words, are_completed_from_where_they_begin) {
  PartialWord partial = last_word("get \"a b");
  EXPECT_EQ(partial.index, 1U);
  EXPECT_EQ(partial.start, 4U);
  EXPECT_EQ(partial.text, "a b");
  EXPECT_EQ(partial.command, "get");
  partial = last_word("get ");
  EXPECT_EQ(partial.index, 1U);
  EXPECT_EQ(partial.start, 4U);
  EXPECT_EQ(partial.text, "");
  EXPECT_EQ(last_word("ge").index, 0U);
}

TEST(Words, that_are_quoted_are_the_same_when_they_are_split) {
  for (const std::string word : {"plain", "a b", "\"", "\\", "it's", "", "tab\t", "\xc3\xbc x"})
    EXPECT_EQ(split_words(quoted_word(word, Closing::yes)), Words{word});
  EXPECT_EQ(common_beginning({"abc", "abd"}), "ab");
  EXPECT_EQ(common_beginning({"\xc3\xbc", "\xc3\xb6"}), "");
}

TEST(LineEnds, are_translated_both_ways_wherever_pieces_end) {
  FromNetwork from;
  EXPECT_EQ(from.text("a\r"), "a");
  EXPECT_EQ(from.text("\nb\r"), "\nb");
  EXPECT_EQ(from.text("c\r"), "\rc");
  EXPECT_EQ(from.rest(), "\r");
  ToNetwork to;
  EXPECT_EQ(to.text("a\nb\r"), "a\r\nb\r");
  EXPECT_EQ(to.text("\nc"), "\nc");
}

TEST(Progress, has_a_bar_a_rate_and_the_time_that_is_left) {
  const std::string line = progress_line("name", 500'000, 1'000'000, 0, 5, 80);
  EXPECT_NE(line.find("50%"), line.npos) << line;
  EXPECT_NE(line.find("500 kB"), line.npos) << line;
  EXPECT_NE(line.find("100 kB/s"), line.npos) << line;
  EXPECT_NE(line.find("0:05"), line.npos) << line;
  EXPECT_NE(line.find("####>"), line.npos) << line;
  EXPECT_LE(line.size(), 80U);
  EXPECT_LE(progress_line(std::string(300, 'x'), 1, 0, 0, 0, 40).size(), 48U);
  EXPECT_NE(progress_line("n", 900, 1000, 800, 1, 80).find("100 B/s"), line.npos);
}

TEST(ShellCommands, are_found_by_a_beginning_that_only_one_has) {
  EXPECT_EQ(find_command("get")->name, "get");
  EXPECT_EQ(find_command("mir")->name, "mirror");
  EXPECT_EQ(find_command("m"), nullptr);
  EXPECT_EQ(find_command("xyz"), nullptr);
}

}  // namespace
}  // namespace procpool::test
