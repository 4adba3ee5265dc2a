// procpool-httpd for a long time: reloads, upgrades, kills of workers, more workers and fewer, all
// the while clients ask. What is lost was in the hands of a killed worker, and nothing grows.
//
// It lasts PROCPOOL_SOAK_SECONDS (4); scripts/soak lets it last minutes.
#include <signal.h>
#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "proc/pid_file.hpp"
#include "servers/net/address.hpp"
#include "tests/support/children.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/keep_alive_clients.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using proc::ExitStatus;

constexpr unsigned kClients = 64;
constexpr unsigned kWorkers = 4;
constexpr auto kBody = "small and quick\n";

std::chrono::seconds soak_length() {
  const char* seconds = std::getenv("PROCPOOL_SOAK_SECONDS");
  return std::chrono::seconds{seconds != nullptr ? std::atoi(seconds) : 4};
}

std::vector<std::string> descriptors_of(pid_t pid) {
  std::vector<std::string> targets;
  std::error_code gone;
  for (std::filesystem::directory_iterator entry{"/proc/" + std::to_string(pid) + "/fd", gone}, end;
       !gone && entry != end; entry.increment(gone)) {
    targets.push_back(std::filesystem::read_symlink(entry->path(), gone).string());
  }
  return targets;
}

// The numbers of the open TCP connections that clients have made to this port: the columns
// local_address, st and inode of /proc/net/tcp, proc_net_tcp(5).
std::set<std::string> connections_to(std::uint16_t port) {
  std::set<std::string> inodes;
  std::ifstream table{"/proc/net/tcp"};
  std::string line;
  std::getline(table, line);
  while (std::getline(table, line)) {
    constexpr auto kListen = "0A";
    std::istringstream columns{line};
    std::string slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
    columns >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> uid >>
        timeout >> inode;
    const auto local_port = std::stoul(local.substr(local.find(':') + 1), nullptr, 16);
    if (local_port == port && state != kListen) inodes.insert("socket:[" + inode + "]");
  }
  return inodes;
}

std::uint64_t pss_of(pid_t pid) {
  std::ifstream rollup{"/proc/" + std::to_string(pid) + "/smaps_rollup"};
  std::string word;
  std::uint64_t kilobytes = 0;
  while (rollup >> word && word != "Pss:") {
  }
  rollup >> kilobytes;
  return kilobytes;
}

// What the master and its workers take.
struct Sample {
  std::uint64_t pss_kb = 0;
  std::size_t descriptors = 0;
};

std::ostream& operator<<(std::ostream& out, const Sample& sample) {
  return out << sample.pss_kb << " KiB of PSS, " << sample.descriptors << " descriptors";
}

class Soak : public testing::Test {
 protected:
  Soak() { std::ofstream{server_.root() / "page"} << kBody; }
  ~Soak() override {
    const auto holder = proc::read_pid_file(pid_file_);
    if (holder) ::kill(*holder, SIGINT);
    EXPECT_TRUE(await_no_children());
  }

  pid_t master() const { return proc::read_pid_file(pid_file_).value_or(0); }

  void order(const std::string& command) {
    const HttpdRun run = run_httpd({command, "--pid-file", pid_file_});
    EXPECT_EQ(run.status, ExitStatus::exited(0)) << command << ": " << run.errors;
  }

  void reload() {
    ++reloads_;
    order("reload");
  }
  void upgrade() {
    ++upgrades_;
    order("upgrade");
  }
  void signal(int number) {
    ++signals_;
    ::kill(master(), number);
  }

  // A connection that the victim was just handing over belongs to another worker, too, or soon
  // will.
  void kill_a_worker() {
    const auto workers = list_children(master());
    if (workers.empty()) return;
    const pid_t victim = workers[random_() % workers.size()].pid;
    ::kill(victim, SIGSTOP);
    if (!await_stop_of(victim)) return;  // it had drained, and has ended
    const std::set<std::string> held = connections_of({victim});
    ++kills_;
    ::kill(victim, SIGKILL);
    std::size_t saved = 0;
    EXPECT_TRUE(eventually([&] {
      const auto open = connections_to(server_.port());
      std::vector<pid_t> survivors = pids_of_workers();
      std::erase(survivors, victim);
      const auto others = connections_of(survivors);
      const auto is_in = [](const auto& set) {
        return [&](const std::string& each) { return set.contains(each); };
      };
      saved = static_cast<std::size_t>(std::ranges::count_if(held, is_in(others)));
      return static_cast<std::size_t>(std::ranges::count_if(held, is_in(open))) <= saved;
    })) << "a connection of a killed worker is open, and nobody has it";
    held_ += held.size() - saved;
    EXPECT_TRUE(eventually([&] { return ended(clients_.counts()) >= held_; }))
        << held_ << " connections were held, " << clients_.counts();
  }

  std::vector<pid_t> pids_of_workers() const {
    std::vector<pid_t> pids;
    for (const Child& worker : list_children(master())) pids.push_back(worker.pid);
    return pids;
  }

  std::set<std::string> connections_of(const std::vector<pid_t>& pids) const {
    const auto all = connections_to(server_.port());
    std::set<std::string> theirs;
    for (const pid_t pid : pids) {
      std::ranges::copy_if(descriptors_of(pid), std::inserter(theirs, theirs.end()),
                           [&](const auto& target) { return all.contains(target); });
    }
    return theirs;
  }

  bool await_stop_of(pid_t victim) const {
    char state = 0;
    EXPECT_TRUE(eventually([&] {
      const auto workers = list_children(master());
      const auto found =
          std::ranges::find_if(workers, [&](const Child& child) { return child.pid == victim; });
      state = found == workers.end() ? 'X' : found->state;
      return state == 'T' || state == 'Z' || state == 'X';
    }));
    return state == 'T';
  }

  static std::uint64_t ended(const ClientCounts& counts) {
    return counts.lost + counts.closed_idle + counts.told_to_close;
  }

  void act(bool may_upgrade) {
    constexpr unsigned kPercent = 100;
    const auto dice = random_() % kPercent;
    if (dice < 40) {
      reload();
    } else if (dice < 55) {
      signal(SIGTTIN);
    } else if (dice < 70) {
      signal(SIGTTOU);
    } else if (dice < 95 || !may_upgrade) {
      kill_a_worker();
    } else {
      upgrade();
    }
    const ClientCounts counts = clients_.counts();
    EXPECT_LE(counts.lost + counts.closed_idle, held_) << counts << server_.errors();
  }

  void act_for(std::chrono::milliseconds length, bool may_upgrade) {
    const auto end = Clock::now() + length;
    while (Clock::now() < end && !HasFailure()) {
      std::this_thread::sleep_for(std::chrono::milliseconds{random_() % 300});
      act(may_upgrade);
    }
  }

  // When as many workers as at first are there, none drains, and every client has a connection. A
  // TTOU that was sent before the first reload may be taken after it.
  Sample sample() {
    reload();
    reload();
    EXPECT_TRUE(eventually([&] { return list_children(master()).size() == kWorkers; }))
        << describe(list_children(master()));
    clients_.await_answers(kClients * 20);
    Sample now;
    std::vector<pid_t> pids = pids_of_workers();
    pids.push_back(master());
    for (const pid_t pid : pids) {
      now.pss_kb += pss_of(pid);
      now.descriptors += descriptors_of(pid).size();
    }
    return now;
  }

  TempDir dir_;
  std::string pid_file_ = dir_.path() / "httpd.pid";
  HttpServer server_{
      {.arguments = {"--workers", std::to_string(kWorkers), "--pid-file", pid_file_}}};
  KeepAliveClients clients_{
      {.server = net::Address::parse("127.0.0.1:" + std::to_string(server_.port())),
       .target = "/page",
       .body = kBody,
       .connections = kClients,
       .longest_pause = 20ms}};
  std::minstd_rand random_{8};
  std::uint64_t held_ = 0;  // connections, by workers that were killed
  unsigned reloads_ = 0;
  unsigned upgrades_ = 0;
  unsigned kills_ = 0;
  unsigned signals_ = 0;
};

TEST_F(Soak, loses_only_what_killed_workers_held_and_nothing_grows) {
  constexpr int kPeriods = 10;
  clients_.await_answers(kClients);
  upgrade();
  EXPECT_EQ(server_.process().wait(), ExitStatus::exited(0)) << server_.errors();
  std::vector<Sample> samples;
  for (int period = 1; period <= kPeriods && !HasFailure(); ++period) {
    // In the last one the master grows old.
    act_for(std::chrono::milliseconds{soak_length()} / kPeriods, period < kPeriods);
    samples.push_back(sample());
    std::cout << "[  FIGURES ] " << samples.back() << "; " << clients_.counts() << std::endl;
  }
  const ClientCounts counts = clients_.stop();
  std::cout << "[  FIGURES ] " << reloads_ << " reloads, " << upgrades_ << " upgrades, " << kills_
            << " kills of workers that held " << held_ << " connections, " << signals_
            << " TTIN and TTOU; " << counts << std::endl;
  EXPECT_LE(counts.lost + counts.closed_idle, held_);
  EXPECT_EQ(counts.wrong, 0U);
  EXPECT_EQ(counts.refused, 0U);
  EXPECT_EQ(samples.back().descriptors, samples.front().descriptors);
  if (soak_length() >= 1min && !kSanitized) {  // AddressSanitizer keeps what was freed
    constexpr double kMostGrowth = 1.2;        // it differs so much from moment to moment
    EXPECT_LE(static_cast<double>(samples.back().pss_kb),
              kMostGrowth * static_cast<double>(samples.front().pss_kb));
  }
  order("stop");
}

}  // namespace
}  // namespace procpool::test
