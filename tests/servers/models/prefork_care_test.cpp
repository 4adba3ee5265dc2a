// How a pre-forked server takes care of its workers: as many as are needed, where they should be,
// none too large, and no old ones for ever.
#include <sched.h>
#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "servers/models/cpu_list.hpp"
#include "tests/servers/models/line_server.hpp"
#include "tests/support/eventually.hpp"

namespace procpool::models {
namespace {

using namespace std::chrono_literals;
using test::Client;
using test::eventually;
using test::Server;
using test::Visitors;

// Measured and decided a few seconds apart.
bool await_workers(const Server& server, std::size_t count) {
  return eventually([&] { return server.workers().size() == count; }, Deadline::in(90s));
}

TEST(PreforkScaling, has_more_workers_while_there_is_more_to_do_and_loses_nothing) {
  const Server server{{.workers = 1, .min_workers = 1, .max_workers = 3}};
  Client idle{server.address()};
  ASSERT_TRUE(idle.ask());
  Visitors visitors{{server.address()}, 6, "work\n"};
  EXPECT_TRUE(await_workers(server, 3)) << server.log_text();
  EXPECT_TRUE(idle.ask());
  visitors.stop();
  EXPECT_EQ(visitors.lost(), 0u);
  EXPECT_TRUE(await_workers(server, 1)) << server.log_text();
  EXPECT_TRUE(idle.ask());
  EXPECT_TRUE(server.logs("% of the time: 1 more"));
  EXPECT_TRUE(server.logs("% of the time: 1 fewer"));
}

TEST(PreforkScaling, counts_a_worker_that_is_full_as_one_that_works) {
  const Server server{{.workers = 1, .min_workers = 1, .max_workers = 2, .max_connections = 4}};
  std::vector<Client> clients;
  clients.reserve(4);
  for (int i = 0; i < 4; ++i) clients.emplace_back(server.address());
  for (Client& client : clients) ASSERT_TRUE(client.ask());
  EXPECT_TRUE(await_workers(server, 2)) << server.log_text();
}

TEST(PreforkScaling, keeps_the_number_that_the_load_has_chosen_at_a_reload) {
  Server server{{.workers = 1, .min_workers = 1, .max_workers = 4, .max_connections = 2}};
  std::vector<Client> clients;
  for (int i = 0; i < 8; ++i) clients.emplace_back(server.address()).send("who\n");
  for (Client& client : clients) ASSERT_TRUE(client.receive()) << server.log_text();
  ASSERT_TRUE(await_workers(server, 4)) << server.log_text();
  server.signal(SIGHUP);
  EXPECT_TRUE(server.logs("reloaded: generation 2 serves with 4 workers"));
  for (Client& client : clients) EXPECT_TRUE(client.ask());
}

// Of each CPU, how many workers are bound to it alone.
std::map<int, int> workers_by_cpu(const Server& server) {
  std::map<int, int> counts;
  for (const pid_t pid : server.workers()) {
    std::vector<cpu_set_t> set(8);
    const std::size_t size = set.size() * sizeof(cpu_set_t);
    if (::sched_getaffinity(pid, size, set.data()) < 0 || CPU_COUNT_S(size, set.data()) != 1)
      return {};
    for (int cpu = 0; cpu < 8 * CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET_S(static_cast<std::size_t>(cpu), size, set.data())) ++counts[cpu];
    }
  }
  return counts;
}

TEST(PreforkAffinity, spreads_each_generation_evenly_over_the_cpus) {
  const CpuList cpus = allowed_cpus();
  const auto workers = static_cast<unsigned>(2 * cpus.size());
  Server server{{.workers = workers, .cpus = cpus}};
  server.address();
  std::map<int, int> even;
  for (const int cpu : cpus) even[cpu] = 2;
  EXPECT_EQ(workers_by_cpu(server), even);

  ASSERT_EQ(::kill(server.workers().front(), SIGKILL), 0);
  ASSERT_TRUE(server.logs("killed by SIGKILL"));
  EXPECT_TRUE(eventually([&] { return workers_by_cpu(server) == even; }));

  server.signal(SIGHUP);
  ASSERT_TRUE(server.logs("reloaded: generation 2"));
  EXPECT_TRUE(eventually([&] { return workers_by_cpu(server) == even; }));
}

// Each keeps its generation from ending by half a line.
TEST(PreforkDraining, ends_the_oldest_generation_when_too_many_drain) {
  Server server{{.workers = 1}};
  std::vector<Client> slow;
  for (std::size_t generation = 1; generation <= Prefork::kMostDraining + 2; ++generation) {
    Client& client = slow.emplace_back(server.address());
    Client idle{server.address()};
    ASSERT_TRUE(client.ask());
    client.send("wh");
    ASSERT_TRUE(idle.ask());
    server.signal(SIGHUP);
    ASSERT_TRUE(server.logs("reloaded: generation " + std::to_string(generation + 1)));
  }
  EXPECT_TRUE(server.logs("generation 1 still drains, and 4 newer ones: it is stopped now"));
  EXPECT_TRUE(server.logs("generation 2 still drains"));
  EXPECT_TRUE(slow.at(0).ended());
  EXPECT_TRUE(slow.at(1).ended());
  for (std::size_t i = 2; i < slow.size(); ++i) {
    slow[i].send("o\n");
    EXPECT_TRUE(slow[i].receive()) << i;
  }
}

class PreforkMemory : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(reasons, PreforkMemory, testing::Values("grow\n", "grow and hang\n"),
                         [](const auto& tested) {
                           return tested.param == "grow\n" ? "that_serves" : "that_hangs";
                         });

TEST_P(PreforkMemory, ends_a_worker_above_the_hard_limit_with_its_connections_only) {
  const Server server{{.workers = 2, .max_rss_hard = test::kGrowth}};
  Client swollen{server.address()};
  const auto victim = swollen.ask();
  std::vector<Client> others;
  others.reserve(20);
  for (int i = 0; i < 20; ++i) others.emplace_back(server.address());
  std::erase_if(others, [&](Client& other) { return other.ask() == victim; });
  swollen.send(GetParam());
  while (swollen.receive()) {
  }
  EXPECT_TRUE(server.logs("worker " + std::to_string(*victim) +
                          " occupies more memory than max-rss-hard: it is replaced now"));
  for (Client& other : others) EXPECT_TRUE(other.ask());
  EXPECT_TRUE(await_workers(server, 2));
  EXPECT_TRUE(Client{server.address()}.ask());
}

}  // namespace
}  // namespace procpool::models
