// Sessions that make no sense: sentences of the protocol in any order, cut, repeated and mixed with
// any bytes. The server lives through all of them, and so does each session until it is closed.
//
// PROCPOOL_MUTATED_SESSIONS (150) says how many.
#include <signal.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <random>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "tests/servers/ftp/ftp_server.hpp"

namespace procpool::test {
namespace {

using Random = std::mt19937;

constexpr std::string_view kSentences[] = {
    "USER ada",
    "PASS secret",
    "PASS wrong",
    "TYPE A",
    "TYPE I",
    "EPSV",
    "PASV",
    "EPSV ALL",
    "PORT 127,0,0,1,4,1",
    "EPRT |1|127.0.0.1|1025|",
    "EPRT |2|::1|1025|",
    "REST 5",
    "RETR a",
    "STOR b",
    "APPE b",
    "STOU",
    "LIST",
    "LIST -la *a*",
    "NLST a*[!x]?",
    "MLSD",
    "MLST a",
    "STAT",
    "STAT a",
    "ABOR",
    "\xff\xf4\xff\xf2"
    "ABOR",
    "MKD folder",
    "CWD folder",
    "CDUP",
    "RMD folder",
    "RNFR b",
    "RNTO c",
    "DELE c",
    "SIZE a",
    "MDTM a",
    "MFMT 20200229120000 a",
    "OPTS MLST size;perm;",
    "SITE CHMOD 600 a",
    "SITE UMASK 077",
    "SITE QUOTA",
    "ALLO 10",
    "HOST x",
    "REIN",
    "FEAT",
    "NOOP",
    "QUIT",
};

std::size_t below(Random& random, std::size_t bound) {
  return std::uniform_int_distribution<std::size_t>{0, bound - 1}(random);
}

void spoil(std::string& text, Random& random) {
  const std::size_t at = below(random, text.size() + 1);
  switch (below(random, 5)) {
    case 0:
      text.insert(at, 1, static_cast<char>(below(random, 256)));
      return;
    case 1:
      text.erase(at, below(random, 8));
      return;
    case 2:
      text.insert(at, below(random, 2) == 0 ? "\r\n" : "\n");
      return;
    case 3:
      text.insert(at, below(random, 30) == 0 ? 5000 : 20, 'x');
      return;
    default:
      text.insert(at, text.substr(0, below(random, 200)));
  }
}

std::string mutated_session(Random& random) {
  std::string text = "USER ada\r\nPASS secret\r\nTYPE I\r\n";
  const std::size_t sentences = 5 + below(random, 30);
  for (std::size_t i = 0; i < sentences; ++i)
    text.append(kSentences[below(random, std::size(kSentences))]).append("\r\n");
  for (std::size_t i = below(random, 6); i > 0; --i) spoil(text, random);
  return text;
}

// Sends it in pieces, reads what comes, and leaves: at the end, or in the middle of it.
void live_through(const FtpServer& server, const std::string& text, Random& random) {
  FtpClient client{server};
  std::array<char, 4096> answers;
  std::string_view rest = text;
  const std::size_t leaves_at = below(random, 8) == 0 ? below(random, text.size()) : 0;
  while (rest.size() > leaves_at) {
    const std::size_t piece = std::min(rest.size(), 1 + below(random, 100));
    if (::send(client.fd(), rest.data(), piece, MSG_NOSIGNAL) < 0) return;
    rest.remove_prefix(piece);
    while (::recv(client.fd(), answers.data(), answers.size(), MSG_DONTWAIT) > 0) {
    }
  }
  if (leaves_at != 0) return;
  ::shutdown(client.fd(), SHUT_WR);
  while (::recv(client.fd(), answers.data(), answers.size(), 0) > 0) {
  }
}

TEST(FtpMutatedSessions, end_by_themselves_and_harm_nobody) {
  const char* const wanted = std::getenv("PROCPOOL_MUTATED_SESSIONS");
  const int sessions = wanted != nullptr ? std::atoi(wanted) : 150;
  FtpServer server{[](ftp::Settings& settings) {
    settings.accept_timeout = std::chrono::milliseconds{20};
    settings.quotas = std::make_shared<ipc::Shared<ftp::QuotaTable>>();
    settings.users["ada"].quota = 1'000'000;
  }};
  server.write("a", "0123456789");
  Random random;  // its default seed: each run is the same
  for (int i = 0; i < sessions; ++i) live_through(server, mutated_session(random), random);
  EXPECT_TRUE(server.has_sessions(0));
  EXPECT_EQ(server.log_text().find("session "), std::string::npos) << server.log_text();
  EXPECT_EQ(server.board().served, static_cast<std::uint64_t>(sessions));
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(), exited(0));
}

}  // namespace
}  // namespace procpool::test
