// procpool-ftp against the servers that others run: vsftpd, pure-ftpd and proftpd, each with a
// configuration of the test's own, on a free port of the loopback.
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "proc/process.hpp"
#include "proc/run.hpp"
#include "servers/models/password.hpp"
#include "servers/net/listener.hpp"
#include "tests/support/children.hpp"
#include "tests/support/contains.hpp"
#include "tests/support/eventually.hpp"
#include "tests/tools/ftp/ftp_tool.hpp"

namespace procpool::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using proc::ExitStatus;

const fs::path& peers() {
  static const fs::path folder = "/usr/local/lib/ftp-peers";
  return folder;
}

// Who serves, when this process is root.
constexpr uid_t kNobody = 65534;

struct PeerSetup {
  fs::path folder;
  fs::path root;
  std::string port;
};

using Argv = std::vector<std::string>;

Argv vsftpd(const PeerSetup& setup) {
  std::ofstream{setup.folder / "conf"}
      << "listen=YES\nlisten_address=127.0.0.1\nlisten_port=" << setup.port
      << "\nbackground=NO\nanonymous_enable=YES\nlocal_enable=NO\nrun_as_launching_user=YES\n"
         "ftp_username=nobody\nwrite_enable=YES\nno_anon_password=YES\nanon_upload_enable=YES\n"
         "anon_mkdir_write_enable=YES\nanon_other_write_enable=YES\nanon_world_readable_only=NO\n"
         "anon_umask=022\nallow_writeable_chroot=YES\nseccomp_sandbox=NO\nisolate=NO\n"
         "isolate_network=NO\nanon_root="
      << setup.root.string() << "\nsecure_chroot_dir=" << setup.folder.string() << "\n";
  return {peers() / "vsftpd/usr/sbin/vsftpd", setup.folder / "conf"};
}

// With a hash of crypt(3): pure-pw's own takes seconds of each login.
Argv pure_ftpd(const PeerSetup& setup) {
  const fs::path bin = peers() / "pure-ftpd/usr";
  const std::string nobody = std::to_string(kNobody);
  std::ofstream{setup.folder / "passwd"} << "ada:" << models::hash_password("secret") << ":"
                                         << nobody << ":" << nobody << "::" << setup.root.string()
                                         << "/./::::::::::::\n";
  const auto made = proc::run(
      {bin / "bin/pure-pw", "mkdb", setup.folder / "users", "-f", setup.folder / "passwd"});
  EXPECT_TRUE(made.status.success()) << made.err;
  return {bin / "sbin/pure-ftpd",
          "-S",
          "127.0.0.1," + setup.port,
          "-E",
          "-H",
          "-u",
          "1",
          "-l",
          "puredb:" + (setup.folder / "users").string(),
          "-g",
          setup.folder / "pid"};
}

Argv proftpd(const PeerSetup& setup) {
  const std::string folder = setup.folder;
  const fs::path users = setup.folder / "passwd";
  std::ofstream{users} << "ada:" << models::hash_password("secret") << ":" << kNobody << ":"
                       << kNobody << "::" << setup.root.string() << ":/bin/sh\n";
  ::chmod(users.c_str(), 0600);
  std::ofstream{setup.folder / "conf"}
      << "ServerType standalone\nDefaultAddress 127.0.0.1\nPort " << setup.port
      << "\nUser nobody\nGroup nogroup\nPidFile " << folder << "/pid\nScoreboardFile none\n"
      << "DelayEngine off\nRequireValidShell off\nAuthOrder mod_auth_file.c\nAuthUserFile "
      << users.string()
      << "\nDefaultRoot ~\nAllowStoreRestart on\nAllowOverwrite on\nUseIPv6 off\n"
         "UseReverseDNS off\nWtmpLog off\nSystemLog none\nTransferLog none\nControlsEngine off\n";
  return {peers() / "proftpd-core/usr/sbin/proftpd", "-n", "-q", "-c", setup.folder / "conf"};
}

struct Peer {
  std::string name;
  std::string program;
  Argv (*argv)(const PeerSetup& setup);
  std::string user;  // of the URL
};

std::string free_port() {
  const auto listener = net::Listener::open(net::Address::parse("127.0.0.1:0"));
  return std::to_string(listener.address().port());
}

class FtpPeer : public testing::TestWithParam<Peer> {
 protected:
  void SetUp() override {
    if (!fs::exists(peers() / GetParam().program))
      GTEST_SKIP() << GetParam().name << " is not installed";
    if (::geteuid() != 0) GTEST_SKIP() << GetParam().name << " must be started by root";
    setup_ = {
        .folder = folder_.path() / "conf.d", .root = folder_.path() / "root", .port = free_port()};
    fs::create_directories(setup_.folder);
    fs::create_directories(setup_.root);
    ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
    ASSERT_EQ(::chown(setup_.root.c_str(), kNobody, kNobody), 0);
    process_.emplace(
        proc::Process::spawn(GetParam().argv(setup_),
                             {.die_with_parent = true,
                              .process_group = proc::ProcessGroup::own,
                              .redirections = {proc::Redirection::null(0),
                                               proc::Redirection::file(1, folder_.path() / "log"),
                                               proc::Redirection::fd(2, 1)}}));
    ASSERT_TRUE(eventually([&] { return is_listening(); })) << read_file(folder_.path() / "log");
  }

  void TearDown() override {
    if (!process_) return;
    process_->stop({{SIGTERM, 10s}, {SIGKILL, proc::kForever}}, proc::Recipient::group);
    EXPECT_TRUE(await_no_children());
  }

  bool is_listening() const {
    const auto address = net::Address::parse("127.0.0.1:" + setup_.port);
    const UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    return ::connect(socket.fd(), address.data(), address.size()) == 0;
  }

  std::string url(const std::string& path = {}) const {
    return "ftp://" + GetParam().user + "127.0.0.1:" + setup_.port + "/" + path;
  }
  const fs::path& root() const { return setup_.root; }
  const fs::path& here() const { return mine_.path(); }

  Ran expect_ok(const std::vector<std::string>& arguments) const {
    Ran ran = ftp(arguments);
    EXPECT_EQ(ran.status, ExitStatus::exited(0)) << ran.output << ran.errors;
    return ran;
  }

  TempDir folder_;
  TempDir mine_;
  PeerSetup setup_;
  std::optional<proc::Process> process_;
};

TEST_P(FtpPeer, gives_and_takes_a_tree) {
  make_tree(here() / "tree", 150);
  expect_ok({"-q", "-P", "3", "mirror", "-R", here() / "tree", url("put")});
  EXPECT_EQ(differences(here() / "tree", root() / "put"), Names{});
  expect_ok({"-q", "-P", "3", "mirror", url("put"), here() / "back"});
  EXPECT_EQ(differences(here() / "tree", here() / "back"), Names{});
  const Ran again = expect_ok({"mirror", url("put"), here() / "back"});
  EXPECT_TRUE(contains(again.errors, "0 files transferred")) << again.errors;
}

TEST_P(FtpPeer, goes_on_with_half_a_file_both_ways) {
  std::ofstream{here() / "a"} << std::string(100'000, 'x') << "end";
  expect_ok({"put", here() / "a", url("a")});
  fs::resize_file(root() / "a", 50'000);
  const Ran put = expect_ok({"-v", "-c", "put", here() / "a", url("a")});
  EXPECT_TRUE(contains(put.errors, "> APPE")) << put.errors;
  EXPECT_EQ(read_file(root() / "a"), read_file(here() / "a"));
  fs::copy(here() / "a", here() / "b.ftp-part");
  fs::resize_file(here() / "b.ftp-part", 50'000);
  const Ran got = expect_ok({"-v", "-c", "get", url("a"), here() / "b"});
  EXPECT_TRUE(contains(got.errors, "> REST 50000")) << got.errors;
  EXPECT_EQ(read_file(here() / "b"), read_file(here() / "a"));
}

TEST_P(FtpPeer, is_connected_to_in_active_mode_too) {
  std::ofstream{here() / "a"} << "content";
  expect_ok({"--active", "put", here() / "a", url("a")});
  EXPECT_EQ(expect_ok({"--active", "cat", url("a")}).output, "content");
  EXPECT_TRUE(contains(expect_ok({"--active", "ls", url()}).output, "  a\n"));
}

TEST_P(FtpPeer, makes_renames_and_removes) {
  std::ofstream{here() / "a"} << "content";
  const auto script = proc::run(
      {PROCPOOL_FTP, url()}, {},
      {.input = "mkdir \"a \\\"b\\\"\"\ncd \"a \\\"b\\\"\"\nlcd " + here().string() +
                "\nput a\nmv a c\nsize c\nmtime c\nls\nrm c\ncd ..\nrmdir \"a \\\"b\\\"\"\n"});
  EXPECT_EQ(script.status, ExitStatus::exited(0)) << script.out << script.err;
  EXPECT_TRUE(contains(script.out, "  c\n")) << script.out;
  EXPECT_TRUE(fs::is_empty(root()));
}

TEST_P(FtpPeer, says_no_and_is_understood) {
  EXPECT_EQ(ftp({"get", url("missing"), here() / "x"}).status, ExitStatus::exited(6));
  EXPECT_EQ(ftp({"ls", url("missing")}).status, ExitStatus::exited(6));
  EXPECT_EQ(ftp({"mirror", url("missing"), here() / "x"}).status, ExitStatus::exited(6));
  EXPECT_EQ(ftp({"ls", "ftp://ada:wrong@127.0.0.1:" + setup_.port}).status, ExitStatus::exited(4));
}

INSTANTIATE_TEST_SUITE_P(
    Of, FtpPeer,
    testing::Values(Peer{"vsftpd", "vsftpd/usr/sbin/vsftpd", &vsftpd, ""},
                    Peer{"pure_ftpd", "pure-ftpd/usr/sbin/pure-ftpd", &pure_ftpd, "ada:secret@"},
                    Peer{"proftpd", "proftpd-core/usr/sbin/proftpd", &proftpd, "ada:secret@"}),
    [](const auto& peer) { return peer.param.name; });

}  // namespace
}  // namespace procpool::test
