// procpool-ftp against servers that mean ill, or do not know better.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/contains.hpp"
#include "tests/tools/ftp/fake_server.hpp"
#include "tests/tools/ftp/ftp_tool.hpp"

namespace procpool::test {
namespace {

namespace fs = std::filesystem;
using proc::ExitStatus;

class HostileFtpServer : public testing::Test {
 protected:
  const fs::path& here() const { return mine_.path(); }

  // Runs to its end with this exit code, and says these words.
  void expect(int code, const std::string& words, const std::vector<std::string>& arguments) const {
    const Ran ran = ftp(arguments);
    EXPECT_EQ(ran.status, ExitStatus::exited(code)) << ran.errors;
    EXPECT_TRUE(contains(ran.errors, words)) << ran.errors;
    EXPECT_FALSE(contains(ran.errors, "\x1b")) << ran.errors;
  }

  TempDir mine_;
};

TEST_F(HostileFtpServer, cannot_write_outside_of_a_mirror) {
  const FakeServer server{{.data = [](const std::string& verb,
                                      const std::string& argument) -> std::optional<std::string> {
    if (verb == "RETR") return "evil";
    if (argument != "/") return std::nullopt;
    std::string lines;
    for (const std::string name :
         {"../up", "/absolute", "a/b", "..", ".", "esc\x1b[2J", "tab\t", "good"})
      lines += "type=file;size=4; " + name + "\r\n";
    lines += "type=file;size=4; nul" + std::string(1, '\0') + "x\r\n";
    return lines + "type=dir; ../updir\r\n";
  }}};
  expect(5, "no file may be called so here", {"mirror", server.url(), here() / "in/copy"});
  EXPECT_EQ(content_of(here()).size(), 1U);
  EXPECT_EQ(read_file(here() / "in/copy/good"), "evil");
}

TEST_F(HostileFtpServer, cannot_lead_into_a_tree_without_end) {
  const FakeServer server{
      {.data = [](const std::string&, const std::string&) -> std::optional<std::string> {
        return "type=dir; d\r\n";
      }}};
  expect(5, "it lies too deep", {"mirror", server.url(), here() / "copy"});
}

TEST_F(HostileFtpServer, cannot_lead_in_a_circle) {
  const FakeServer server{
      {.data = [](const std::string&, const std::string&) -> std::optional<std::string> {
        return "type=dir;unique=1; a\r\ntype=dir;unique=1; b\r\n";
      }}};
  expect(0, "was entered before", {"mirror", server.url(), here() / "copy"});
}

TEST_F(HostileFtpServer, cannot_send_a_link_and_then_a_file_through_it) {
  const TempDir elsewhere;
  const std::string link = "type=OS.unix=slink:" + elsewhere.path().string() + "; l\r\n";
  const FakeServer server{{.replies = {{"SIZE", "213 4"}},
                           .data = [link](const std::string& verb, const std::string& argument)
                               -> std::optional<std::string> {
                             if (verb == "RETR") return "evil";
                             if (argument == "/") return link + "type=dir; l\r\n";
                             return "type=file;size=4; x\r\n";
                           }}};
  expect(5, "1 of 2 files failed", {"mirror", server.url(), here() / "a"});
  EXPECT_TRUE(fs::is_empty(elsewhere.path()));
}

TEST_F(HostileFtpServer, is_not_listened_to_for_ever) {
  for (const std::string& greeting :
       {std::string{"HTTP/1.1 400 Bad Request"}, std::string(3'000'000, '2'),
        "220-" + std::string(2'000'000, 'x')}) {
    const FakeServer server{{.replies = {{"CONNECT", greeting}}}};
    expect(8, "read reply", {"ls", server.url()});
  }
  std::string endless = "211-x";
  for (int i = 0; i < 200'000; ++i) endless += "\r\n a line";
  const FakeServer server{{.replies = {{"FEAT", endless}}}};
  expect(8, "the reply never ends", {"ls", server.url()});
}

TEST_F(HostileFtpServer, that_says_nothing_is_left_after_the_time_out) {
  const FakeServer silent{{.replies = {{"PWD", "257-\"/\""}}}};
  expect(7, "nothing came for 0.3 s", {"--timeout", "0.3", "ls", silent.url()});
  const FakeServer no_data{{.replies = {{"MLSD", "150 wait"}}}};
  expect(7, "nothing came", {"--timeout", "0.3", "ls", no_data.url()});
}

TEST_F(HostileFtpServer, cannot_make_the_client_connect_to_somebody_else) {
  const FakeServer server{{.replies = {{"EPSV", "500 what?"}}, .data = send("RETR", "content")}};
  expect(0, "10.1.2.3 is not the server: 127.0.0.1 is",
         {"-v", "get", server.url("a"), here() / "a"});
  EXPECT_EQ(read_file(here() / "a"), "content");
}

TEST_F(HostileFtpServer, that_names_no_port_is_told_so) {
  const FakeServer server{{.replies = {{"EPSV", "229 somewhere"}}}};
  expect(8, "names no port", {"ls", server.url()});
}

TEST_F(HostileFtpServer, that_sends_less_or_more_than_it_said_has_failed) {
  const FakeServer less{{.replies = {{"SIZE", "213 10"}}, .data = send("RETR", "short")}};
  expect(5, "10 bytes, and 5 were moved", {"get", less.url("a"), here() / "a"});
  EXPECT_FALSE(fs::exists(here() / "a"));
  EXPECT_EQ(read_file(here() / "a.ftp-part"), "short");
  const FakeServer more{
      {.replies = {{"SIZE", "213 10"}}, .data = send("RETR", "short"), .endless = true}};
  expect(5, "10 bytes, and", {"get", more.url("b"), here() / "b"});
  EXPECT_FALSE(fs::exists(here() / "b"));
}

TEST_F(HostileFtpServer, that_cuts_a_transfer_is_not_believed) {
  const FakeServer cut{{.data = send("RETR", "half"), .end = "426 cut"}};
  expect(5, "426 cut", {"get", cut.url("a"), here() / "a"});
  EXPECT_FALSE(fs::exists(here() / "a"));
}

TEST_F(HostileFtpServer, cannot_send_a_listing_without_end) {
  const FakeServer server{{.data = send("MLSD", "type=file; a\r\n"), .endless = true}};
  expect(8, "the listing never ends", {"ls", server.url()});
}

TEST_F(HostileFtpServer, that_hangs_up_is_said_to_have) {
  const FakeServer at_once{{.replies = {{"CONNECT", ""}}}};
  expect(3, "hung up", {"ls", at_once.url()});
  const FakeServer later{{.replies = {{"MLSD", ""}}}};
  expect(3, "hung up", {"ls", later.url()});
  const FakeServer busy{{.replies = {{"USER", "421 too many"}}}};
  expect(3, "too many", {"ls", busy.url()});
}

TEST_F(HostileFtpServer, cannot_write_to_the_terminal_what_that_obeys) {
  const FakeServer server{{.replies = {{"PASS", "530 \x1b[2Jno"}}}};
  expect(4, "530 ?[2Jno", {"-v", "ls", server.url()});
}

TEST_F(HostileFtpServer, without_passive_mode_is_connected_from) {
  const FakeServer server{{.replies = {{"EPSV", "500 what?"}, {"PASV", "500 what?"}}}};
  expect(6, "500 what?", {"ls", server.url()});
  expect(6, "has no passive mode", {"--passive", "ls", server.url()});
}

TEST_F(HostileFtpServer, with_a_listing_of_dos_is_understood) {
  const FakeServer server{
      {.replies = {{"FEAT", "500 what?"}},
       .data = send("LIST", "02-14-24  09:05AM       <DIR>          My Folder\r\n")}};
  const Ran ran = ftp({"ls", server.url()});
  EXPECT_EQ(ran.status, ExitStatus::exited(0)) << ran.errors;
  EXPECT_TRUE(contains(ran.output, "My Folder/")) << ran.output;
}

}  // namespace
}  // namespace procpool::test
