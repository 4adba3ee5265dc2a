// The FTP server under fire: reloads and kills, while clients put and get without a pause.
//
// Each storm lasts PROCPOOL_STORM_SECONDS (3), with PROCPOOL_STORM_CLIENTS (50) for reloads.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "servers/net/listener.hpp"
#include "tests/servers/ftp/ftp_server.hpp"
#include "tests/support/children.hpp"

namespace procpool::test {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

int number_of(const char* variable, int otherwise) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? std::atoi(text) : otherwise;
}
std::chrono::seconds storm_length() {
  return std::chrono::seconds{number_of("PROCPOOL_STORM_SECONDS", 3)};
}

std::string content_of(std::size_t size, unsigned seed) {
  std::string content(size, '\0');
  std::minstd_rand random{seed + 1};
  for (char& byte : content) byte = static_cast<char>(random());
  return content;
}

struct Counts {
  std::atomic<unsigned> done{0};
  std::atomic<unsigned> cut{0};    // the connection ended before the transfer did
  std::atomic<unsigned> wrong{0};  // other bytes, or another answer, than it must be
};

// Puts a file and gets it back, in one session after the other, until it is told to stop.
class Client {
 public:
  Client(const FtpServer& server, unsigned number, Counts& counts, const std::atomic<bool>& stop)
      : server_{server},
        name_{"file" + std::to_string(number)},
        content_{content_of(100'000 + number * 1000, number)},
        counts_{counts},
        stop_{stop} {}

  void run() {
    while (!stop_) {
      try {
        put_and_get();
      } catch (const std::exception&) {  // refused, reset, or ended in the middle of a sentence
        ++counts_.cut;
      }
    }
  }

 private:
  void put_and_get() {
    FtpClient client{server_};
    if (!said(client.greeting(), "220") || !said(client.ask("USER ada"), "331") ||
        !said(client.ask("PASS secret"), "230") || !said(client.ask("TYPE I"), "200"))
      return;
    for (int i = 0; i < 5 && !stop_; ++i) {
      client.put("STOR " + name_, content_);
      if (!said(client.end(), "226")) return;
      const std::string back = client.get(name_);
      if (!said(client.end(), "226")) return;
      counts_.wrong += back == content_ ? 0U : 1U;
      counts_.done += 2;
    }
    said(client.ask("QUIT"), "221");
  }

  bool said(const std::string& answer, std::string_view code) {
    if (answer.starts_with(code)) return true;
    ++(answer.empty() ? counts_.cut : counts_.wrong);
    return false;
  }

  const FtpServer& server_;
  std::string name_;
  std::string content_;
  Counts& counts_;
  const std::atomic<bool>& stop_;
};

class Clients {
 public:
  Clients(const FtpServer& server, unsigned number) {
    clients_.reserve(number);
    threads_.reserve(number);
    for (unsigned i = 0; i < number; ++i) {
      clients_.push_back(std::make_unique<Client>(server, i, counts_, stop_));
      threads_.emplace_back([client = clients_.back().get()] { client->run(); });
    }
  }
  ~Clients() { stop(); }
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;

  const Counts& stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    return counts_;
  }
  const Counts& counts() const { return counts_; }

 private:
  Counts counts_;
  std::atomic<bool> stop_{false};
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::thread> threads_;
};

void show(const Counts& counts, const std::string& more) {
  std::cout << "[  FIGURES ] " << counts.done << " transfers, " << counts.cut << " cut, "
            << counts.wrong << " wrong; " << more << std::endl;
}

// What was never whole is not there: neither half a file nor a temporary one. Of a session that was
// killed while one file took the place of another, the next upload takes the leavings away.
void expect_whole_files(const FtpServer& server, const fs::path& root) {
  FtpClient client{server};
  client.log_in();
  client.put("STOR file0", content_of(100'000, 0));
  EXPECT_TRUE(client.end().starts_with("226")) << client.end();
  for (const auto& entry : fs::directory_iterator{root}) {
    const std::string name = entry.path().filename();
    ASSERT_TRUE(name.starts_with("file")) << name;
    const auto number = static_cast<unsigned>(std::stoi(name.substr(4)));
    EXPECT_EQ(read_file(entry.path()), content_of(100'000 + number * 1000, number)) << name;
  }
}

// Ports that are free at this moment. So many, because all clients have one address: who is late at
// a port of a session that was killed would be taken for the client of the next one there.
ftp::PortRange free_ports() {
  constexpr std::uint16_t kPorts = 500;
  for (std::uint16_t first = 20'000 + static_cast<std::uint16_t>(::getpid() % 10'000);;
       first += 10) {
    try {
      std::vector<net::Listener> all;
      all.reserve(kPorts);
      for (std::uint16_t port = first; port < first + kPorts; ++port)
        all.push_back(
            net::Listener::open(net::Address::parse("127.0.0.1:" + std::to_string(port))));
      return {.first = first, .last = static_cast<std::uint16_t>(first + kPorts - 1)};
    } catch (const Error&) {  // somebody has one of them
    }
  }
}

void expect_all_free(ftp::PortRange ports) {
  for (unsigned port = ports.first; port <= ports.last; ++port) {
    EXPECT_TRUE(eventually([&] {
      try {
        net::Listener::open(net::Address::parse("127.0.0.1:" + std::to_string(port)));
        return true;
      } catch (const Error&) {
        return false;
      }
    })) << port;
  }
}

void expect_free_slots(const FtpServer& server) {
  EXPECT_TRUE(eventually([&] {
    return std::ranges::all_of(server.board().slots,
                               [](const models::SessionSlot& slot) { return slot.pid == 0; });
  }));
}

models::SessionService for_many() {
  return {.max_sessions_per_address = 1000};
}

TEST(FtpStorm, reloads_cut_no_transfer) {
  FtpServer server{{}, "127.0.0.1:0", for_many()};
  server.address();
  Clients clients{server, static_cast<unsigned>(number_of("PROCPOOL_STORM_CLIENTS", 50))};
  unsigned reloads = 0;
  for (const auto end = Clock::now() + storm_length(); Clock::now() < end; ++reloads) {
    server.signal(SIGHUP);
    std::this_thread::sleep_for(100ms);
  }
  EXPECT_TRUE(eventually([&] { return clients.counts().done >= 100; }));
  const Counts& counts = clients.stop();
  show(counts, std::to_string(reloads) + " reloads");
  EXPECT_EQ(counts.cut, 0U);
  EXPECT_EQ(counts.wrong, 0U);
  EXPECT_TRUE(server.has_sessions(0));
  expect_free_slots(server);
  expect_whole_files(server, server.root());
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(), exited(0));
  EXPECT_EQ(server.log_text().find("killed"), std::string::npos);
}

TEST(FtpStorm, killed_sessions_leave_nothing) {
  const ftp::PortRange ports = free_ports();
  FtpServer server{[&](ftp::Settings& settings) {
                     settings.passive_ports = ports;
                     settings.quotas = std::make_shared<ipc::Shared<ftp::QuotaTable>>();
                     settings.users["ada"].quota = std::uint64_t{64} << 20;
                   },
                   "127.0.0.1:0", for_many()};
  server.address();
  unsigned kills = 0;
  {
    Clients clients{server, 8};
    std::minstd_rand random{4};
    for (const auto end = Clock::now() + storm_length(); Clock::now() < end;) {
      std::this_thread::sleep_for(std::chrono::milliseconds{random() % 40});
      const auto sessions = models::sessions_of(server.board());
      if (sessions.empty()) continue;
      ::kill(sessions[random() % sessions.size()].pid, SIGKILL);
      ++kills;
    }
    const Counts& counts = clients.stop();
    show(counts, std::to_string(kills) + " sessions were killed");
    EXPECT_EQ(counts.wrong, 0U);
    EXPECT_GT(counts.done, 0U);
  }
  EXPECT_TRUE(server.has_sessions(0));
  expect_free_slots(server);
  expect_all_free(ports);
  expect_whole_files(server, server.root());
  EXPECT_TRUE(eventually([&] { return list_children(server.pid()).empty(); }));
  // Nothing is claimed any more, and what is used is what is there.
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator{server.root()}) bytes += entry.file_size();
  FtpClient client{server};
  client.log_in();
  const auto limit = std::uint64_t{64} << 20;
  EXPECT_EQ(client.ask("SITE QUOTA"), "200 " + std::to_string(bytes) + " of " +
                                          std::to_string(limit) + " bytes are used; " +
                                          std::to_string(limit - bytes) + " are free.")
      << server.log_text();
}

TEST(FtpStorm, a_killed_master_takes_all_along) {
  const auto end = Clock::now() + storm_length();
  std::minstd_rand random{5};
  unsigned masters = 0;
  unsigned transfers = 0;
  do {
    const ftp::PortRange ports = free_ports();
    FtpServer server{[&](ftp::Settings& settings) { settings.passive_ports = ports; },
                     "127.0.0.1:0", for_many()};
    server.address();
    Clients clients{server, 8};
    EXPECT_TRUE(eventually([&] { return clients.counts().done > 0; }));
    std::this_thread::sleep_for(std::chrono::milliseconds{random() % 100});
    server.signal(SIGKILL);
    const Counts& counts = clients.stop();
    transfers += counts.done;
    EXPECT_EQ(counts.wrong, 0U);
    server.wait();
    EXPECT_TRUE(await_no_children());
    EXPECT_TRUE(models::sessions_of(server.board()).empty());
    expect_all_free(ports);
    const FtpServer next{
        [&](ftp::Settings& settings) { settings.users["ada"].home = server.root(); }};
    expect_whole_files(next, server.root());
    ++masters;
  } while (Clock::now() < end);
  std::cout << "[  FIGURES ] " << transfers << " transfers; " << masters << " masters were killed"
            << std::endl;
}

}  // namespace
}  // namespace procpool::test
