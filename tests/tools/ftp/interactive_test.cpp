// procpool-ftp as somebody at a terminal has it.
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "proc/process.hpp"
#include "tests/servers/ftp/ftp_server.hpp"
#include "tests/support/contains.hpp"
#include "tests/support/eventually.hpp"
#include "tests/tools/ftp/ftp_tool.hpp"

namespace procpool::test {
namespace {

using proc::ExitStatus;

// A program whose terminal the test is: it types, and reads what is shown.
class Terminal {
 public:
  explicit Terminal(const std::vector<std::string>& argv)
      : master_{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)} {
    if (!master_.valid() || ::grantpt(master_.fd()) != 0 || ::unlockpt(master_.fd()) != 0)
      throw_errno("posix_openpt");
    std::array<char, 64> name;
    if (::ptsname_r(master_.fd(), name.data(), name.size()) != 0) throw_errno("ptsname_r");
    const UniqueFd slave{::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC)};
    const winsize size{.ws_row = 24, .ws_col = 100, .ws_xpixel = 0, .ws_ypixel = 0};
    if (!slave.valid() || ::ioctl(slave.fd(), TIOCSWINSZ, &size) != 0) throw_errno("open", "pty");
    process_.emplace(proc::Process::spawn(
        argv, {.die_with_parent = true,
               .process_group = proc::ProcessGroup::session,
               .controlling_terminal = slave.fd(),
               .redirections = {proc::Redirection::fd(0, slave.fd()),
                                proc::Redirection::fd(1, slave.fd()),
                                proc::Redirection::fd(2, slave.fd())},
               .environment = {
                   {"TERM=xterm", "LANG=C.UTF-8", "HOME=/nonexistent",
                    "LSAN_OPTIONS=print_suppressions=0:suppressions=" PROCPOOL_LIBEDIT_LEAKS}}}));
  }

  void type(std::string_view keys) { write_full(master_.fd(), keys, "terminal"); }

  // False: it was not shown, since the last call, before patience ended.
  bool shows(const std::string& words) {
    const Deadline deadline = Deadline::in(kPatience);
    std::array<char, 4096> buffer;
    for (;;) {
      if (const auto at = screen_.find(words); at != screen_.npos) {
        screen_.erase(0, at + words.size());
        return true;
      }
      if (wait_ready(master_.fd(), POLLIN, deadline) == 0) return false;
      const ssize_t count = ::read(master_.fd(), buffer.data(), buffer.size());
      if (count <= 0) return false;  // EIO: the program has ended
      screen_.append(buffer.data(), static_cast<std::size_t>(count));
    }
  }
  const std::string& screen() const { return screen_; }  // since what was last seen
  ExitStatus wait() { return process_->wait(); }
  bool has_ended_in(std::chrono::milliseconds time) { return process_->wait_for(time).has_value(); }

 private:
  UniqueFd master_;
  std::optional<proc::Process> process_;
  std::string screen_;
};

class FtpPrompt : public testing::Test {
 protected:
  std::string url() const { return "ftp://ada:secret@" + server_.address().text() + "/"; }

  void leave(Terminal& terminal) {
    terminal.type("bye\r");
    EXPECT_EQ(terminal.wait(), ExitStatus::exited(0)) << terminal.screen();
  }

  FtpServer server_;
  TempDir mine_;
};

TEST_F(FtpPrompt, shows_where_one_is_and_does_what_is_typed) {
  server_.write("folder/a", "content");
  Terminal terminal{{PROCPOOL_FTP, url()}};
  ASSERT_TRUE(terminal.shows("ada@127.0.0.1:/> ")) << terminal.screen();
  terminal.type("cd folder\r");
  ASSERT_TRUE(terminal.shows("ada@127.0.0.1:/folder> ")) << terminal.screen();
  terminal.type("ls\r");
  ASSERT_TRUE(terminal.shows("  a\r\n")) << terminal.screen();
  terminal.type("cat nothing\r");
  ASSERT_TRUE(terminal.shows("550")) << terminal.screen();
  ASSERT_TRUE(terminal.shows("/folder> ")) << terminal.screen();
  leave(terminal);
}

TEST_F(FtpPrompt, completes_commands_and_names_there_with_quotes) {
  server_.write("folder/a file with spaces", "the content");
  server_.write("folder/other", "x");
  Terminal terminal{{PROCPOOL_FTP, url()}};
  ASSERT_TRUE(terminal.shows("/> ")) << terminal.screen();
  terminal.type("ca\t");
  ASSERT_TRUE(terminal.shows("t ")) << terminal.screen();
  terminal.type("fol\t");
  ASSERT_TRUE(terminal.shows("der/")) << terminal.screen();
  terminal.type("a\t");
  ASSERT_TRUE(terminal.shows("spaces")) << terminal.screen();
  terminal.type("\r");
  ASSERT_TRUE(terminal.shows("the content")) << terminal.screen();
  ASSERT_TRUE(terminal.shows("/> ")) << terminal.screen();
  terminal.type("cat folder/\t\t");
  ASSERT_TRUE(terminal.shows("folder/other")) << terminal.screen();
  terminal.type("\x03");
  ASSERT_TRUE(terminal.shows("/> ")) << terminal.screen();
  terminal.type("\x1b[A");  // the line before
  ASSERT_TRUE(terminal.shows("cat \"folder/a file with spaces\"")) << terminal.screen();
  terminal.type("\x03");
  leave(terminal);
}

TEST_F(FtpPrompt, goes_on_after_ctrl_c_in_a_transfer) {
  server_.write("large", std::string(4'000'000, 'x'));
  server_.write("small", "content");
  Terminal terminal{{PROCPOOL_FTP, "--limit-rate", "100k", url()}};
  ASSERT_TRUE(terminal.shows("/> ")) << terminal.screen();
  terminal.type("lcd " + mine_.path().string() + "\r");
  ASSERT_TRUE(terminal.shows("/> ")) << terminal.screen();
  terminal.type("get large\r");
  ASSERT_TRUE(terminal.shows("kB/s")) << terminal.screen();
  terminal.type("\x03");
  ASSERT_TRUE(terminal.shows("interrupted")) << terminal.screen();
  ASSERT_TRUE(terminal.shows("/> ")) << terminal.screen();
  EXPECT_TRUE(std::filesystem::exists(mine_.path() / "large.ftp-part"));
  terminal.type("cat small\r");
  ASSERT_TRUE(terminal.shows("content")) << terminal.screen();
  leave(terminal);
  EXPECT_FALSE(std::filesystem::exists(mine_.path() / "large"));
}

TEST_F(FtpPrompt, goes_on_after_ctrl_c_in_a_parallel_mirror) {
  for (int i = 0; i < 8; ++i) server_.write("d/" + std::to_string(i), std::string(400'000, 'x'));
  Terminal terminal{{PROCPOOL_FTP, "--limit-rate", "50k", "-P", "3", url()}};
  ASSERT_TRUE(terminal.shows("/> ")) << terminal.screen();
  terminal.type("mirror d " + (mine_.path() / "d").string() + "\r");
  ASSERT_TRUE(terminal.shows("0 of 8 files")) << terminal.screen();
  terminal.type("\x03");
  ASSERT_TRUE(terminal.shows("interrupted")) << terminal.screen();
  ASSERT_TRUE(terminal.shows("/> ")) << terminal.screen();
  terminal.type("pwd\r");
  ASSERT_TRUE(terminal.shows("/\r\n")) << terminal.screen();
  leave(terminal);
}

TEST_F(FtpPrompt, connects_again_when_the_server_has_hung_up) {
  const FtpServer hasty{
      [](ftp::Settings& settings) { settings.idle_timeout = std::chrono::milliseconds{200}; }};
  hasty.write("folder/a", "content");
  Terminal terminal{{PROCPOOL_FTP, "ftp://ada:secret@" + hasty.address().text() + "/"}};
  ASSERT_TRUE(terminal.shows("/> ")) << terminal.screen();
  terminal.type("cd folder\r");
  ASSERT_TRUE(terminal.shows("/folder> ")) << terminal.screen();
  ASSERT_TRUE(hasty.has_sessions(0));
  terminal.type("cat a\r");
  ASSERT_TRUE(terminal.shows("content")) << terminal.screen();
  leave(terminal);
}

TEST_F(FtpPrompt, asks_for_a_password_that_nobody_has_said_and_does_not_show_it) {
  Terminal terminal{{PROCPOOL_FTP, "ada@" + server_.address().text()}};
  ASSERT_TRUE(terminal.shows("Password of ada@127.0.0.1: ")) << terminal.screen();
  terminal.type("secret\r");
  ASSERT_TRUE(terminal.shows("/> ")) << terminal.screen();
  EXPECT_FALSE(contains(terminal.screen(), "secret"));
  leave(terminal);
}

// Typed while the editor takes the terminal over it would be lost: then one types it again.
bool ends_at_ctrl_d(Terminal& terminal) {
  return eventually([&] {
    terminal.type("\x04");
    return terminal.has_ended_in(std::chrono::seconds{1});
  });
}

TEST_F(FtpPrompt, ends_at_the_end_of_input) {
  Terminal terminal{{PROCPOOL_FTP}};
  ASSERT_TRUE(terminal.shows("procpool-ftp> ")) << terminal.screen();
  terminal.type("ls\r");
  ASSERT_TRUE(terminal.shows("not connected")) << terminal.screen();
  ASSERT_TRUE(terminal.shows("procpool-ftp> ")) << terminal.screen();  // which takes keys as such
  EXPECT_TRUE(ends_at_ctrl_d(terminal)) << terminal.screen();
  EXPECT_EQ(terminal.wait(), ExitStatus::exited(0)) << terminal.screen();
}

// The terminal makes a NUL of one that was typed before its keys were the editor's.
TEST_F(FtpPrompt, ends_at_the_end_of_input_also_when_it_was_typed_too_early_at_first) {
  Terminal terminal{{PROCPOOL_FTP}};
  ASSERT_TRUE(terminal.shows("procpool-ftp> ")) << terminal.screen();
  terminal.type(std::string(1, '\0'));
  EXPECT_TRUE(ends_at_ctrl_d(terminal)) << terminal.screen();
  EXPECT_EQ(terminal.wait(), ExitStatus::exited(0)) << terminal.screen();
}

}  // namespace
}  // namespace procpool::test
