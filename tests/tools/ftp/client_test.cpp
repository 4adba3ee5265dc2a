// procpool-ftp against our own server.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "proc/run.hpp"
#include "servers/ftp/listing.hpp"
#include "tests/servers/ftp/ftp_server.hpp"
#include "tests/support/contains.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/open_files.hpp"
#include "tests/tools/ftp/ftp_tool.hpp"

namespace procpool::test {
namespace {

namespace fs = std::filesystem;
using proc::ExitStatus;

std::time_t modified(const fs::path& file) {
  struct stat facts{};
  EXPECT_EQ(::stat(file.c_str(), &facts), 0) << file;
  return facts.st_mtime;
}

void set_modified(const fs::path& file, std::string_view time) {
  const std::time_t then = ftp::parse_time(time).value();
  const timespec both[2]{{.tv_sec = then, .tv_nsec = 0}, {.tv_sec = then, .tv_nsec = 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, file.c_str(), both, 0), 0) << file;
}

class ProcpoolFtp : public testing::Test {
 protected:
  std::string url(const std::string& path = {}) const {
    return "ftp://ada:secret@" + server_.address().text() + "/" + path;
  }
  const fs::path& here() const { return mine_.path(); }
  void write(const std::string& name, std::string_view content) const {
    std::ofstream{here() / name, std::ios::binary} << content;
  }
  std::string read(const std::string& name) const { return read_file(here() / name); }

  void expect_ok(const std::vector<std::string>& arguments) const {
    const Ran ran = ftp(arguments);
    EXPECT_EQ(ran.status, ExitStatus::exited(0)) << ran.output << ran.errors;
  }
  // With this exit code, and a reason that says these words.
  void expect_failure(int code, const std::string& words,
                      const std::vector<std::string>& arguments) const {
    const Ran ran = ftp(arguments);
    EXPECT_EQ(ran.status, ExitStatus::exited(code)) << ran.errors;
    EXPECT_TRUE(contains(ran.errors, words)) << ran.errors;
    EXPECT_FALSE(contains(ran.errors, "secret")) << ran.errors;
  }

  FtpServer server_;
  TempDir mine_;
};

TEST_F(ProcpoolFtp, gets_a_file_with_its_time) {
  server_.write("a b", "0123456789");
  set_modified(server_.root() / "a b", "20260102030405");
  expect_ok({"get", url("a%20b"), here() / "copy"});
  EXPECT_EQ(read("copy"), "0123456789");
  EXPECT_EQ(modified(here() / "copy"), ftp::parse_time("20260102030405"));
  expect_ok({"get", url("a%20b"), here()});
  EXPECT_EQ(read("a b"), "0123456789");
  EXPECT_EQ(ftp({"get", url("a%20b"), "-"}).output, "0123456789");
  EXPECT_EQ(ftp({"cat", url("a%20b")}).output, "0123456789");
}

TEST_F(ProcpoolFtp, gets_by_every_kind_of_data_connection) {
  server_.write("a", "content");
  for (const std::string mode : {"--passive", "--active"}) {
    expect_ok({mode, "get", url("a"), here() / mode.substr(2)});
    EXPECT_EQ(read(mode.substr(2)), "content");
  }
}

TEST_F(ProcpoolFtp, gets_and_puts_over_ipv6) {
  const FtpServer six{{}, "[::1]:0"};
  six.write("a", "content");
  const std::string there = "ftp://ada:secret@" + six.address().text() + "/";
  expect_ok({"get", there + "a", here() / "a"});
  EXPECT_EQ(read("a"), "content");
  expect_ok({"--active", "put", here() / "a", there + "b"});
  EXPECT_EQ(six.read("b"), "content");
}

TEST_F(ProcpoolFtp, puts_a_file_with_its_time) {
  write("a", "0123456789");
  set_modified(here() / "a", "20260102030405");
  expect_ok({"put", here() / "a", url("b")});
  EXPECT_EQ(server_.read("b"), "0123456789");
  EXPECT_EQ(modified(server_.root() / "b"), ftp::parse_time("20260102030405"));
  expect_ok({"put", here() / "a", url()});
  EXPECT_EQ(server_.read("a"), "0123456789");
  write("empty", "");
  expect_ok({"put", here() / "empty", url()});
  EXPECT_EQ(server_.read("empty"), "");
}

TEST_F(ProcpoolFtp, resumes_what_it_gets_and_moves_the_rest_only) {
  server_.write("a", "0123456789");
  set_modified(server_.root() / "a", "20260102030405");
  write("a.ftp-part", "01234");
  const Ran ran = ftp({"-c", "-v", "get", url("a"), here() / "a"});
  EXPECT_EQ(ran.status, ExitStatus::exited(0)) << ran.errors;
  EXPECT_TRUE(contains(ran.errors, "> REST 5")) << ran.errors;
  EXPECT_EQ(read("a"), "0123456789");
  EXPECT_FALSE(fs::exists(here() / "a.ftp-part"));
  write("a", "012");  // as another client leaves it
  expect_ok({"-c", "get", url("a"), here() / "a"});
  EXPECT_EQ(read("a"), "0123456789");
  expect_ok({"-c", "get", url("a"), here() / "a"});  // nothing is left to do
  EXPECT_EQ(read("a"), "0123456789");
}

TEST_F(ProcpoolFtp, does_not_resume_what_has_changed_since) {
  server_.write("a", "abcdefghij");
  write("a.ftp-part", "01234");
  set_modified(here() / "a.ftp-part", "20200102030405");
  expect_ok({"-c", "get", url("a"), here() / "a"});
  EXPECT_EQ(read("a"), "abcdefghij");
  write("b.ftp-part", "longer than what is there");
  server_.write("b", "short");
  expect_ok({"-c", "get", url("b"), here() / "b"});
  EXPECT_EQ(read("b"), "short");
}

TEST_F(ProcpoolFtp, resumes_what_it_puts) {
  write("a", "0123456789");
  server_.write("a", "01234");
  const Ran ran = ftp({"-c", "-v", "put", here() / "a", url("a")});
  EXPECT_EQ(ran.status, ExitStatus::exited(0)) << ran.errors;
  EXPECT_TRUE(contains(ran.errors, "> APPE /a")) << ran.errors;
  EXPECT_EQ(server_.read("a"), "0123456789");
  server_.write("a", "this is longer than what is here");
  expect_ok({"-c", "put", here() / "a", url("a")});
  EXPECT_EQ(server_.read("a"), "0123456789");
}

TEST_F(ProcpoolFtp, translates_line_ends_when_asked) {
  server_.write("a", "one\ntwo\n");
  expect_ok({"get", url("a;type=a"), here() / "a"});
  EXPECT_EQ(read("a"), "one\ntwo\n");
  expect_ok({"put", here() / "a", url("b;type=a")});
  EXPECT_EQ(server_.read("b").find("one"), 0U);
}

TEST_F(ProcpoolFtp, lists_makes_and_removes) {
  server_.write("a b", "12345");
  expect_ok({"mkdir", url("new")});
  const Ran ran = ftp({"ls", url()});
  EXPECT_TRUE(contains(ran.output, "  a b\n")) << ran.output;
  EXPECT_TRUE(contains(ran.output, "  new/\n")) << ran.output;
  EXPECT_TRUE(contains(ran.output, " 5  ")) << ran.output;
  expect_ok({"rm", url("a%20b")});
  EXPECT_FALSE(fs::exists(server_.root() / "a b"));
}

TEST_F(ProcpoolFtp, mirrors_two_thousand_files_both_ways) {
  make_tree(here() / "tree", 2000);
  make_tree(here() / "tree", 0, oddest_names);
  expect_ok({"-q", "-P", "4", "mirror", "--reverse", here() / "tree", url("put/it")});
  EXPECT_EQ(differences(here() / "tree", server_.root() / "put/it"), Names{});
  EXPECT_TRUE(fs::exists(server_.root() / "put/it/.empty \"folder\""));
  expect_ok({"-q", "-P", "4", "mirror", url("put/it"), here() / "back"});
  EXPECT_EQ(differences(here() / "tree", here() / "back"), Names{});
  EXPECT_TRUE(fs::exists(here() / "back/.empty \"folder\""));
}

TEST_F(ProcpoolFtp, mirrors_again_only_what_has_changed) {
  make_tree(server_.root(), 30);
  expect_ok({"mirror", url(), here() / "copy"});
  Ran again = ftp({"-P", "2", "mirror", url(), here() / "copy"});
  EXPECT_TRUE(contains(again.errors, "0 files transferred, 42 were there")) << again.errors;
  server_.write("a b", "longer than before");
  again = ftp({"-P", "2", "mirror", url(), here() / "copy"});
  EXPECT_TRUE(contains(again.errors, "got a b\n")) << again.errors;
  EXPECT_TRUE(contains(again.errors, "1 files transferred, 41 were there")) << again.errors;
  EXPECT_EQ(differences(server_.root(), here() / "copy"), Names{});
  again = ftp({"mirror", "-R", here() / "copy", url()});
  EXPECT_TRUE(contains(again.errors, "0 files transferred, 42 were there")) << again.errors;
}

TEST_F(ProcpoolFtp, leaves_links_to_directories_out_and_says_so) {
  server_.write("d/a", "content");
  fs::create_directory_symlink(".", server_.root() / "d/loop");
  fs::create_symlink("a", server_.root() / "d/link");
  const Ran ran = ftp({"mirror", url("d"), here() / "copy"});
  EXPECT_EQ(ran.status, ExitStatus::exited(0)) << ran.errors;
  EXPECT_TRUE(contains(ran.errors, "left out: /d/loop")) << ran.errors;
  EXPECT_EQ(content_of(here() / "copy").size(), 2U);
  EXPECT_EQ(read("copy/link"), "content");
}

TEST_F(ProcpoolFtp, gets_all_that_match_at_once) {
  for (int i = 0; i < 20; ++i) server_.write("d/f" + std::to_string(i) + ".txt", std::to_string(i));
  server_.write("d/other", "x");
  expect_ok({"mget", "-P", "3", url("d/*.txt"), here()});
  EXPECT_EQ(content_of(here()).size(), 20U);
  EXPECT_EQ(read("f7.txt"), "7");
  expect_failure(6, "no file matches", {"mget", url("d/*.no"), here()});
}

TEST_F(ProcpoolFtp, never_writes_through_a_link_of_a_mirror) {
  server_.write("d/a", "content");
  const TempDir elsewhere;
  fs::create_directories(here() / "copy");
  fs::create_directory_symlink(elsewhere.path(), here() / "copy/d");
  expect_failure(5, "copy/d", {"mirror", url(), here() / "copy"});
  EXPECT_TRUE(fs::is_empty(elsewhere.path()));
}

TEST_F(ProcpoolFtp, writes_to_a_device_and_does_not_replace_it) {
  server_.write("a", "content");
  ASSERT_EQ(::mkfifo((here() / "fifo").c_str(), 0600), 0);
  const UniqueFd reader{::open((here() / "fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
  expect_ok({"get", url("a"), here() / "fifo"});
  std::array<char, 16> buffer;
  EXPECT_EQ(::read(reader.fd(), buffer.data(), buffer.size()), 7);
}

TEST_F(ProcpoolFtp, takes_the_login_from_netrc) {
  server_.write("a", "content");
  const std::string netrc = here() / "netrc";
  std::ofstream{netrc} << "machine 127.0.0.1 login ada password secret\n";
  ASSERT_EQ(::chmod(netrc.c_str(), 0600), 0);
  const std::string there = server_.address().text();
  expect_ok({"--netrc", netrc, "get", there + "/a", here() / "a"});
  ASSERT_EQ(::chmod(netrc.c_str(), 0644), 0);
  expect_failure(1, "others may read it", {"--netrc", netrc, "get", there + "/a", here() / "a"});
  expect_failure(1, "No such file", {"--netrc", here() / "no", "get", there + "/a"});
  expect_ok({"--user", "ada:secret", "get", there + "/a", here() / "a"});
}

TEST_F(ProcpoolFtp, says_what_has_failed_and_ends_with_its_code) {
  expect_failure(2, "usage", {"get"});
  expect_failure(2, "URL", {"get", "http://127.0.0.1/a"});
  expect_failure(2, "parallel", {"--parallel", "17", "ls", url()});
  expect_failure(2, "limit-rate", {"--limit-rate", "fast", "ls", url()});
  expect_failure(6, "missing", {"get", url("missing"), here() / "x"});
  expect_failure(6, "missing", {"ls", url("missing")});
  expect_failure(6, "missing", {"rm", url("missing")});
  expect_failure(6, "missing", {"mirror", url("missing"), here() / "copy"});
  expect_failure(1, "No such file", {"put", here() / "missing", url("x")});
  expect_failure(1, "No such file", {"put", here() / "missing/a", url("x")});
  const std::string there = server_.address().text();
  expect_failure(4, "Not logged in", {"ls", "ftp://ada:wrong-secre@" + there + "/"});
  expect_failure(3, "refused", {"ls", "ftp://127.0.0.1:1/"});
  write("a", "x");
  expect_failure(6, "may read only", {"put", here() / "a", "ftp://bob:secret@" + there + "/b"});
}

TEST_F(ProcpoolFtp, does_not_do_more_than_it_is_allowed_in_a_second) {
  server_.write("a", std::string(30'000, 'x'));
  const auto start = std::chrono::steady_clock::now();
  expect_ok({"--limit-rate", "30k", "get", url("a"), here() / "a"});
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds{800});
  EXPECT_EQ(read("a").size(), 30'000U);
}

TEST_F(ProcpoolFtp, goes_on_with_a_script_until_something_fails) {
  server_.write("a", "content");
  const auto script = [&](const std::string& lines) {
    return proc::run({PROCPOOL_FTP, url()}, {}, {.input = lines});
  };
  const auto good =
      script("# a comment\nmkdir \"new dir\"\ncd \"new dir\"\npwd\nlcd " + here().string() +
             "\nget /a\nput a b\nsize b\nmv b c\nchmod 600 c\n"
             "cat c\nls\nrm c\nmtime /a\nquote NOOP\nstatus\nascii\nbinary\n"
             "passive on\nrmdir \"/new dir\"\nhelp get\nbye\nget never\n");
  EXPECT_EQ(good.status, ExitStatus::exited(0)) << good.err;
  EXPECT_TRUE(contains(good.out, "/new dir\n7\ncontent-rw-------")) << good.out;
  EXPECT_EQ(read("a"), "content");
  const auto bad = script("get missing " + (here() / "x").string() + "\nmkdir never\n");
  EXPECT_EQ(bad.status, ExitStatus::exited(6)) << bad.err;
  EXPECT_FALSE(fs::exists(server_.root() / "never"));
  EXPECT_EQ(script("nonsense\n").status, ExitStatus::exited(2));
  EXPECT_EQ(script("get \"a\n").status, ExitStatus::exited(2));
  EXPECT_EQ(script("get\n").status, ExitStatus::exited(2));
}

// The process that is writing this file.
std::optional<pid_t> writer_of(const fs::path& file) {
  for (const auto& process : fs::directory_iterator{"/proc"}) {
    const pid_t pid = std::atoi(process.path().filename().c_str());
    if (pid != 0 && has_open(pid, file)) return pid;
  }
  return std::nullopt;
}

TEST_F(ProcpoolFtp, goes_on_with_what_a_worker_had_in_hand_when_it_was_killed) {
  server_.write("d/0", std::string(300'000, 'a'));
  for (int i = 1; i < 6; ++i)
    server_.write("d/" + std::to_string(i), std::string(30'000, static_cast<char>('a' + i)));
  const fs::path part = here() / "d/0.ftp-part";
  Forked client{[&] {
    const Ran ran = ftp({"--limit-rate", "100k", "-P", "2", "mirror", url("d"), here() / "d"});
    EXPECT_EQ(ran.status, ExitStatus::exited(0)) << ran.errors;
    EXPECT_TRUE(contains(ran.errors, "6 files transferred")) << ran.errors;
  }};
  ASSERT_TRUE(eventually([&] { return fs::exists(part) && fs::file_size(part) > 0; }));
  const auto worker = writer_of(part);
  ASSERT_TRUE(worker);
  ::kill(*worker, SIGKILL);
  EXPECT_EQ(client.wait(), exited(0));
  EXPECT_EQ(differences(server_.root() / "d", here() / "d"), Names{});
}

TEST_F(ProcpoolFtp, hides_the_password_in_the_dialogue) {
  const Ran ran = ftp({"-v", "ls", url()});
  EXPECT_TRUE(contains(ran.errors, "> USER ada")) << ran.errors;
  EXPECT_TRUE(contains(ran.errors, "> PASS ****")) << ran.errors;
  EXPECT_FALSE(contains(ran.errors, "secret")) << ran.errors;
}

TEST_F(ProcpoolFtp, tells_all_exit_codes_in_its_help) {
  const Ran ran = ftp({"--help"});
  EXPECT_EQ(ran.status, ExitStatus::exited(0));
  for (const std::string words : {"  3  the server could not", "130  Ctrl-C", "--parallel"})
    EXPECT_TRUE(contains(ran.output, words)) << ran.output;
}

}  // namespace
}  // namespace procpool::test
