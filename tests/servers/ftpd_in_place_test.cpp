// kill -USR2 of process 1, as in a container: the new program is executed in its place, and the
// sessions go on.
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/servers/ftp/ftp_server.hpp"
#include "tests/servers/ftpd_server.hpp"
#include "tests/support/contains.hpp"
#include "tests/support/process_one.hpp"

namespace procpool::test {
namespace {

using proc::ExitStatus;

class FtpdInPlace : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = ProgramInNamespace::why_not(); !why.empty()) GTEST_SKIP() << why;
    std::filesystem::create_directory(root_);
    std::ofstream{root_ / "large"} << std::string(std::size_t{64} << 20U, 'x');
  }

  // The server, and who it is.
  struct Container : ServerProgram {
    explicit Container(const Argv& argv) : ServerProgram{argv} {}
    net::Address address() const {
      return net::Address::parse("127.0.0.1:" + std::to_string(port()));
    }
    ProcessOne one{*this};
  };

  ServerProgram::Argv with(const std::vector<std::string>& more = {}) const {
    return [this, more](const std::filesystem::path&) {
      std::vector<std::string> argv{program_.start(), "--listen", "127.0.0.1:0",
                                    "--anonymous",    root_,      "--pid-file",
                                    pid_file_};
      argv.insert(argv.end(), more.begin(), more.end());
      return argv;
    };
  }

  static void log_in(FtpClient& client) {
    EXPECT_EQ(client.ask("USER anonymous").substr(0, 3), "331");
    EXPECT_EQ(client.ask("PASS me@example.org").substr(0, 3), "230");
    EXPECT_EQ(client.ask("TYPE I").substr(0, 3), "200");
  }

  static std::size_t count_to_end(const UniqueFd& data) {
    std::vector<char> buffer(std::size_t{1} << 16U);
    std::size_t total = 0;
    for (;;) {
      const ssize_t count = ::read(data.fd(), buffer.data(), buffer.size());
      if (count <= 0) return total;
      total += static_cast<std::size_t>(count);
    }
  }

  ProgramInNamespace program_{ftpd_program()};
  TempDir folder_;
  std::filesystem::path root_ = folder_.path() / "root";
  std::string pid_file_ = folder_.path() / "ftpd.pid";
};

TEST_F(FtpdInPlace, keeps_its_sessions_counts_them_and_frees_their_places_when_they_end) {
  Container server{with({"--max-sessions", "2"})};
  FtpClient busy{server.address()};
  log_in(busy);
  UniqueFd data = busy.passive();
  EXPECT_EQ(busy.ask("RETR large").substr(0, 3), "150");
  for (int i = 0; i < 3; ++i) {
    const std::set<pid_t> before = server.one.children();
    const ProgramRun upgraded = program_.upgrade(server.one, pid_file_);
    EXPECT_EQ(upgraded.status, ExitStatus::exited(0)) << upgraded.errors << server.errors();
    EXPECT_EQ(upgraded.output, "process 1 runs the new program\n");
    EXPECT_EQ(server.one.children(), before);
  }
  {
    FtpClient second{server.address()};
    log_in(second);
    EXPECT_EQ(FtpClient{server.address()}.greeting().substr(0, 3), "421");
  }
  EXPECT_EQ(count_to_end(data), std::size_t{64} << 20U);
  EXPECT_EQ(busy.receive().substr(0, 3), "226");
  EXPECT_EQ(busy.ask("QUIT").substr(0, 3), "221");
  EXPECT_TRUE(server.one.await_children(0)) << "a zombie, or a session that stays";
  FtpClient third{server.address()};
  FtpClient fourth{server.address()};
  log_in(third);
  log_in(fourth);
  EXPECT_EQ(server.one.stop(SIGTERM), ExitStatus::exited(0)) << server.errors();
  EXPECT_FALSE(std::filesystem::exists(pid_file_));
}

TEST_F(FtpdInPlace, has_its_spare_sessions_again_under_the_new_program) {
  Container server{with({"--spare-sessions", "3"})};
  EXPECT_TRUE(server.one.await_children(3));
  const std::set<pid_t> before = server.one.children();
  EXPECT_EQ(program_.upgrade(server.one, pid_file_).status, ExitStatus::exited(0))
      << server.errors();
  EXPECT_TRUE(server.one.await_children(3));
  for (const pid_t pid : server.one.children()) EXPECT_FALSE(before.contains(pid));
  FtpClient client{server.address()};
  log_in(client);
}

TEST_F(FtpdInPlace, is_the_old_program_again_when_the_new_one_declines) {
  Container server{with()};
  FtpClient client{server.address()};
  log_in(client);
  program_.replace_for_good("exec " + ftpd_program() + " --bogus");
  for (int i = 0; i < 2; ++i) {
    const ProgramRun upgraded = program_.upgrade(server.one, pid_file_);
    EXPECT_EQ(upgraded.status, ExitStatus::exited(1)) << server.errors();
    EXPECT_TRUE(contains(upgraded.errors, "\"--bogus\": unknown option")) << upgraded.errors;
  }
  EXPECT_EQ(client.ask("NOOP").substr(0, 3), "200");
  FtpClient another{server.address()};
  log_in(another);
  program_.restore();
  EXPECT_EQ(program_.upgrade(server.one, pid_file_).status, ExitStatus::exited(0))
      << server.errors();
  EXPECT_EQ(client.ask("NOOP").substr(0, 3), "200");
}

}  // namespace
}  // namespace procpool::test
