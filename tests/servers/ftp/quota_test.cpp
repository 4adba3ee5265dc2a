// What a user may keep: held to the byte, whatever sessions do at once, and however they end.
#include "servers/ftp/quota.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "servers/ftp/transfer.hpp"
#include "tests/servers/ftp/ftp_server.hpp"
#include "tests/support/contains.hpp"

namespace procpool::test {
namespace {

using ftp::FileTree;
using ftp::Quota;
using ftp::QuotaClaim;
using ftp::QuotaMemory;
using ftp::QuotaTable;
using ftp::take_quotas;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

std::string code(const std::string& reply) {
  return reply.substr(0, 3);
}

QuotaMemory make_memory() {
  return std::make_shared<ipc::Shared<QuotaTable>>();
}

class QuotaOfHome : public testing::Test {
 protected:
  void write(const std::string& name, std::size_t bytes) const {
    std::ofstream{home_.path() / name} << std::string(bytes, 'x');
  }
  Quota quota(std::uint64_t bytes) const { return Quota{memory_, tree_, bytes}; }

  TempDir home_;
  FileTree tree_{home_.path()};
  QuotaMemory memory_ = make_memory();
};

TEST_F(QuotaOfHome, counts_what_is_there_once) {
  std::filesystem::create_directories(home_.path() / "a/b");
  std::filesystem::create_symlink("/etc", home_.path() / "etc");
  write("a/b/c", 30);
  write("d", 5);
  const Quota mine = quota(100);
  EXPECT_EQ(mine.look().used, 35U);
  EXPECT_EQ(mine.look().free, 65U);
  write("past the server", 5);
  EXPECT_EQ(mine.look().used, 35U);
  EXPECT_EQ(quota(20).look().used, 35U);
  EXPECT_EQ(quota(20).look().free, 0U);
}

TEST_F(QuotaOfHome, is_none_without_a_number) {
  const Quota none{{}, tree_, 0};
  EXPECT_FALSE(none.is_limited());
  EXPECT_EQ(none.change({"/x"}, [] { return ENOENT; }), ENOENT);
  EXPECT_EQ(QuotaClaim::replacing(none, "/x").grow_to(kMiB), ftp::kNoLimit);
  EXPECT_THROW((Quota{{}, tree_, 1}), Error);
}

TEST_F(QuotaOfHome, gives_back_what_is_removed_or_replaced) {
  write("a", 30);
  write("b", 20);
  const Quota mine = quota(100);
  EXPECT_EQ(mine.change({"/a", "/b"}, [&] { return tree_.rename("/a", "/b"); }), 0);
  EXPECT_EQ(mine.look().used, 30U);
  EXPECT_EQ(mine.change({"/b", "/b"}, [&] { return tree_.rename("/b", "/b"); }), 0);
  EXPECT_EQ(mine.look().used, 30U);
  EXPECT_EQ(mine.change({"/none"}, [&] { return tree_.remove_file("/none"); }), ENOENT);
  EXPECT_EQ(mine.change({"/b"}, [&] { return tree_.remove_file("/b"); }), 0);
  EXPECT_EQ(mine.look().used, 0U);
}

TEST_F(QuotaOfHome, lets_nobody_have_what_another_one_has_claimed) {
  const Quota mine = quota(10 * kMiB);
  const Quota other = quota(10 * kMiB);
  std::optional<QuotaClaim> first{QuotaClaim::replacing(mine, "/a")};
  QuotaClaim second = QuotaClaim::replacing(other, "/b");
  EXPECT_EQ(first->grow_to(7 * kMiB), 7 * kMiB);
  EXPECT_EQ(second.grow_to(4 * kMiB), 3 * kMiB);
  EXPECT_EQ(mine.look().free, 0U);
  first.reset();
  EXPECT_EQ(second.grow_to(4 * kMiB), 4 * kMiB);
}

TEST_F(QuotaOfHome, lets_a_file_have_the_room_of_the_one_that_it_replaces) {
  write("a", 60);
  const Quota mine = quota(100);
  QuotaClaim claim = QuotaClaim::replacing(mine, "/a");
  EXPECT_EQ(claim.grow_to(200), 100U);
  write("fresh", 100);
  EXPECT_EQ(claim.settle("/a", 100, [&] { return tree_.rename("/fresh", "/a"); }), 0);
  EXPECT_EQ(mine.look().used, 100U);
}

TEST_F(QuotaOfHome, refuses_a_file_whose_room_has_gone_elsewhere) {
  write("a", 60);
  const Quota mine = quota(100);
  QuotaClaim claim = QuotaClaim::replacing(mine, "/a");
  EXPECT_EQ(claim.grow_to(100), 100U);
  EXPECT_EQ(mine.change({"/a", "/b"}, [&] { return tree_.rename("/a", "/b"); }), 0);
  EXPECT_EQ(claim.settle("/a", 100, [] { return 0; }), EDQUOT);
  EXPECT_EQ(mine.look().used, 60U);
}

TEST_F(QuotaOfHome, takes_back_the_claims_of_the_killed) {
  const Quota mine = quota(10 * kMiB);
  EXPECT_EQ(mine.look().free, 10 * kMiB);
  Gate claimed;
  Forked other{[&] {
    const Quota its = quota(10 * kMiB);
    QuotaClaim claim = QuotaClaim::replacing(its, "/a");
    claim.grow_to(10 * kMiB);
    claimed.open();
    ::pause();
  }};
  ASSERT_TRUE(claimed.wait(Deadline::in(kPatience)));
  QuotaClaim claim = QuotaClaim::replacing(mine, "/b");
  EXPECT_EQ(claim.grow_to(1), 0U);
  other.kill(SIGKILL);
  other.wait();
  EXPECT_EQ(claim.grow_to(10 * kMiB), 10 * kMiB);
}

TEST_F(QuotaOfHome, counts_again_what_one_that_was_killed_has_written_in_place) {
  write("a", 10);
  const Quota mine = quota(10 * kMiB);
  Gate written;
  Forked other{[&] {
    const Quota its = quota(10 * kMiB);
    const UniqueFd file{::open((home_.path() / "a").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC)};
    QuotaClaim claim = QuotaClaim::of_file(its, file.fd());
    claim.grow_to(15);
    write_full(file.fd(), "12345", "a");
    written.open();
    ::pause();
  }};
  ASSERT_TRUE(written.wait(Deadline::in(kPatience)));
  EXPECT_EQ(mine.look().used, 10U);
  other.kill(SIGKILL);
  other.wait();
  EXPECT_EQ(mine.look().used, 15U);
}

// Whoever holds the lock may have changed files, and not the count.
TEST_F(QuotaOfHome, counts_again_when_a_change_was_cut_by_a_kill) {
  write("a", 10);
  const Quota mine = quota(100);
  EXPECT_EQ(mine.look().used, 10U);
  Gate removed;
  Forked other{[&] {
    return quota(100).change({"/a"}, [&] {
      const int error = tree_.remove_file("/a");
      removed.open();
      while (error == 0) ::pause();
      return error;
    });
  }};
  ASSERT_TRUE(removed.wait(Deadline::in(kPatience)));
  other.kill(SIGKILL);
  other.wait();
  EXPECT_EQ(mine.look().used, 0U);
}

TEST_F(QuotaOfHome, is_held_by_processes_that_write_at_once) {
  constexpr int kProcesses = 8;
  constexpr std::uint64_t kLimit = 20 * 1000;
  std::vector<Forked> writers;
  writers.reserve(kProcesses);
  for (int process = 0; process < kProcesses; ++process) {
    writers.emplace_back([&, process] {
      const Quota its = quota(kLimit);
      for (int i = 0; i < 200; ++i) {
        const std::string name = "f" + std::to_string((process + i) % 30);
        const auto size = static_cast<std::uint64_t>((process * 37 + i * 101) % 3000);
        if (i % 5 == 4) {
          its.change({"/" + name}, [&] { return tree_.remove_file("/" + name); });
          continue;
        }
        const std::string fresh = "w" + std::to_string(process);
        QuotaClaim claim = QuotaClaim::replacing(its, "/" + name);
        if (claim.grow_to(size) < size) continue;
        write(".fresh" + fresh, size);
        claim.settle("/" + name, size, [&] { return tree_.rename("/.fresh" + fresh, "/" + name); });
        tree_.remove_file("/.fresh" + fresh);
      }
    });
  }
  for (Forked& writer : writers) EXPECT_EQ(writer.wait(), exited(0));
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator{home_.path()})
    bytes += entry.file_size();
  EXPECT_LE(bytes, kLimit);
  EXPECT_EQ(quota(kLimit).look().used, bytes);
  EXPECT_EQ(quota(kLimit).look().free, kLimit - bytes);
}

TEST_F(QuotaOfHome, is_inherited_with_what_is_counted) {
  write("a", 10);
  EXPECT_EQ(quota(100).look().used, 10U);
  write("past the server", 5);
  models::Inheritance inheritance;
  inheritance.memory[ftp::kQuotaMemory] = UniqueFd{::fcntl(memory_->fd(), F_DUPFD_CLOEXEC, 3)};
  const QuotaMemory next = take_quotas(inheritance);
  EXPECT_EQ((Quota{next, tree_, 100}.look().used), 10U);
  const QuotaMemory fresh = take_quotas(inheritance);
  EXPECT_EQ((Quota{fresh, tree_, 100}.look().used), 15U);
  const ipc::Shared<int> of_another_version;
  inheritance.memory[ftp::kQuotaMemory] =
      UniqueFd{::fcntl(of_another_version.fd(), F_DUPFD_CLOEXEC, 3)};
  EXPECT_EQ((Quota{take_quotas(inheritance), tree_, 100}.look().used), 15U);
}

// --- as clients see it ---

FtpServer::Change with_quota(std::uint64_t bytes) {
  return [bytes](ftp::Settings& settings) {
    settings.quotas = make_memory();
    settings.users["ada"].quota = bytes;
  };
}

TEST(FtpQuota, refuses_what_is_too_much_before_and_in_a_transfer) {
  const FtpServer server{with_quota(100)};
  server.write("old", std::string(40, 'x'));
  FtpClient client{server};
  client.log_in();
  EXPECT_EQ(client.ask("SITE QUOTA"), "200 40 of 100 bytes are used; 60 are free.");
  EXPECT_TRUE(contains(client.ask("STAT"), " 40 of 100 bytes are used; 60 are free."));
  EXPECT_EQ(code(client.ask("ALLO 60")), "200");
  EXPECT_EQ(code(client.ask("ALLO 61")), "552");
  client.put("STOR new", std::string(61, 'y'));
  EXPECT_EQ(code(client.end()), "552");
  EXPECT_FALSE(std::filesystem::exists(server.root() / "new"));
  client.put("STOR new", std::string(60, 'y'));
  EXPECT_EQ(code(client.end()), "226");
  for (const char* line : {"STOR another", "APPE old", "STOU"}) {
    EXPECT_EQ(code(client.ask("EPSV")), "229");
    EXPECT_EQ(code(client.ask(line)), "552") << line;
  }
  EXPECT_EQ(code(client.ask("REST 40")), "350");
  EXPECT_EQ(code(client.ask("STOR old")), "552");
  EXPECT_EQ(code(client.ask("NOOP")), "200");
}

TEST(FtpQuota, gives_room_back) {
  const FtpServer server{with_quota(100)};
  server.write("a", std::string(60, 'x'));
  server.write("b", std::string(40, 'x'));
  FtpClient client{server};
  client.log_in();
  client.put("STOR a", std::string(60, 'y'));
  EXPECT_EQ(code(client.end()), "226") << client.end();
  client.put("STOR a", std::string(61, 'y'));
  EXPECT_EQ(code(client.end()), "552");
  client.put("STOR a", std::string(10, 'y'));
  EXPECT_EQ(client.ask("SITE QUOTA"), "200 50 of 100 bytes are used; 50 are free.");
  EXPECT_EQ(code(client.ask("RNFR a")), "350");
  EXPECT_EQ(code(client.ask("RNTO b")), "250");
  EXPECT_EQ(client.ask("SITE QUOTA"), "200 10 of 100 bytes are used; 90 are free.");
  EXPECT_EQ(code(client.ask("DELE b")), "250");
  EXPECT_EQ(client.ask("SITE QUOTA"), "200 0 of 100 bytes are used; 100 are free.");
}

TEST(FtpQuota, is_held_by_what_is_appended_and_resumed) {
  const FtpServer server{with_quota(100)};
  server.write("a", std::string(40, 'x'));
  FtpClient client{server};
  client.log_in();
  client.put("APPE a", std::string(61, 'y'));
  EXPECT_EQ(code(client.end()), "552");
  EXPECT_EQ(server.read("a").size(), 100U);
  EXPECT_EQ(client.ask("SITE QUOTA"), "200 100 of 100 bytes are used; 0 are free.");
  EXPECT_EQ(code(client.ask("REST 50")), "350");
  client.put("STOR a", std::string(50, 'z'));
  EXPECT_EQ(code(client.end()), "226");
  EXPECT_EQ(server.read("a"), std::string(40, 'x') + std::string(10, 'y') + std::string(50, 'z'));
}

TEST(FtpQuota, is_held_in_type_a) {
  const FtpServer server{with_quota(10)};
  FtpClient client{server};
  client.log_in();
  EXPECT_EQ(code(client.ask("TYPE A")), "200");
  client.put("STOR a", "12345\r\n123\r\n");
  EXPECT_EQ(code(client.end()), "226");
  client.put("STOR a", "12345\r\n1234\r\n");
  EXPECT_EQ(code(client.end()), "552");
  EXPECT_EQ(server.read("a"), "12345\n123\n");
}

TEST(FtpQuota, is_one_for_all_sessions_and_outlives_them) {
  FtpServer server{with_quota(3 * kMiB)};
  FtpClient first{server};
  first.log_in();
  const UniqueFd data = first.passive();
  EXPECT_EQ(code(first.ask("STOR a")), "150");
  write_full(data.fd(), std::string(2 * kMiB, 'x'), "data");
  ASSERT_TRUE(eventually([&] {
    const auto sessions = models::sessions_of(server.board());
    return sessions.size() == 1 && sessions[0].done == 2 * kMiB;
  }));
  FtpClient second{server};
  second.log_in();
  second.put("STOR b", std::string(kMiB + 1, 'x'));
  EXPECT_EQ(code(second.end()), "552");
  server.signal(SIGHUP);
  // A session that is killed has claimed nothing any more.
  for (const auto& session : models::sessions_of(server.board()))
    if (session.done == 2 * kMiB) ::kill(session.pid, SIGKILL);
  EXPECT_TRUE(first.ended());
  ASSERT_TRUE(server.has_sessions(1));
  second.put("STOR b", std::string(3 * kMiB, 'x'));
  EXPECT_EQ(code(second.end()), "226") << second.end();
}

TEST(Ftp, lets_one_client_at_a_time_write_in_place) {
  const FtpServer server;
  FtpClient first{server};
  first.log_in();
  const UniqueFd data = first.passive();
  EXPECT_EQ(code(first.ask("APPE a")), "150");
  FtpClient second{server};
  second.log_in();
  EXPECT_EQ(code(second.ask("EPSV")), "229");
  EXPECT_EQ(code(second.ask("APPE a")), "450");
}

}  // namespace
}  // namespace procpool::test
