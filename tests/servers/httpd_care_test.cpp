// How procpool-httpd takes care of its workers: none grows too old, and nobody notices.
#include <signal.h>
#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "servers/net/address.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/keep_alive_clients.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {
namespace {

using namespace std::chrono_literals;

class Care : public testing::Test {
 protected:
  static KeepAliveClients clients_of(const HttpServer& server) {
    std::ofstream{server.root() / "page"} << "hello";
    return KeepAliveClients{
        {.server = net::Address::parse("127.0.0.1:" + std::to_string(server.port())),
         .target = "/page",
         .body = "hello",
         .connections = 16,
         .longest_pause = 2ms}};
  }

  static void expect_no_loss(const ClientCounts& counts, const HttpServer& server) {
    EXPECT_GT(counts.answered, 0u);
    EXPECT_EQ(counts.wrong, 0u) << counts;
    EXPECT_EQ(counts.lost, 0u) << counts << server.errors();
    EXPECT_EQ(counts.refused, 0u) << counts;
  }

  // Until so many processes have been seen as workers.
  static bool await_workers_of_all_times(const HttpServer& server, std::size_t count) {
    std::set<pid_t> seen;
    return eventually([&] {
      for (const pid_t pid : server.worker_pids()) seen.insert(pid);
      return seen.size() >= count;
    });
  }
};

TEST_F(Care, recycles_workers_by_their_requests_and_loses_no_request) {
  const HttpServer server{
      {.arguments = {"--workers", "2", "--max-requests", "100", "--max-requests-jitter", "50"}}};
  KeepAliveClients clients = clients_of(server);
  EXPECT_TRUE(await_workers_of_all_times(server, 8)) << server.errors();
  expect_no_loss(clients.stop(), server);
}

TEST_F(Care, recycles_workers_by_their_memory_and_loses_no_request) {
  const HttpServer server{{.arguments = {"--workers", "2", "--max-rss", "1M"}}};
  KeepAliveClients clients = clients_of(server);
  EXPECT_TRUE(await_workers_of_all_times(server, 6)) << server.errors();
  expect_no_loss(clients.stop(), server);
}

TEST_F(Care, recycles_no_worker_below_its_limits) {
  const HttpServer server{{.arguments = {"--workers", "1", "--max-rss", "8G"}}};
  const auto before = server.worker_pids();
  KeepAliveClients clients = clients_of(server);
  clients.await_answers(500);
  EXPECT_EQ(server.worker_pids(), before);
  expect_no_loss(clients.stop(), server);
}

TEST_F(Care, replaces_a_worker_that_is_stopped_while_the_others_serve) {
  const HttpServer server{{.arguments = {"--workers", "2", "--timeout", "1s"}}};
  const auto before = server.worker_pids();
  const pid_t victim = before.front();
  KeepAliveClients clients = clients_of(server);
  clients.await_answers(100);
  ASSERT_EQ(::kill(victim, SIGSTOP), 0);
  clients.await_answers(100);
  EXPECT_TRUE(server.await_error("no sign of life within 1000 ms"));
  EXPECT_TRUE(server.await_error("process " + std::to_string(victim) + " was aborted at:"))
      << server.errors();
  EXPECT_TRUE(server.await_error("killed by SIGABRT"));
  EXPECT_TRUE(eventually([&] {
    const auto now = server.worker_pids();
    return now.size() == 2 && std::ranges::count(now, victim) == 0 &&
           std::ranges::count(now, before.back()) == 1;
  }));
  clients.await_answers(100);
  EXPECT_EQ(clients.stop().wrong, 0u);
}

TEST_F(Care, serves_in_each_way_of_accepting_and_changes_it_at_a_reload) {
  const TempDir folder;
  const std::string config = folder.path() / "httpd.toml";
  const auto configure = [&](const std::string& accept) {
    std::ofstream{config} << "workers = 2\naccept = \"" << accept << "\"\n";
  };
  configure("pass");
  HttpServer server{
      {.arguments = {"--config", config},
       .listen = {"127.0.0.1:0", "[::1]:0", "unix:" + (folder.path() / "s").string()}}};
  KeepAliveClients clients = clients_of(server);
  std::size_t generation = 1;
  for (const std::string accept : {"reuseport", "lock", "shared", "pass"}) {
    clients.await_answers(100);
    configure(accept);
    server.signal(SIGHUP);
    ASSERT_TRUE(server.await_error("reloaded: generation " + std::to_string(++generation)));
    for (const auto& url :
         {"127.0.0.1:" + std::to_string(server.port_of(0)),
          "[::1]:" + std::to_string(server.port_of(1)), "unix:" + (folder.path() / "s").string()}) {
      EXPECT_EQ(HttpClient{net::Address::parse(url)}.get("/page").body, "hello") << url;
    }
  }
  expect_no_loss(clients.stop(), server);
}

TEST_F(Care, has_as_many_workers_as_its_limits_allow) {
  const HttpServer few{{.arguments = {"--max-workers", "1", "--cpu-affinity", "auto"}}};
  EXPECT_EQ(few.worker_pids().size(), 1u);
  const HttpServer many{{.arguments = {"--min-workers", "5"}}};
  EXPECT_GE(many.worker_pids().size(), 5u);
}

}  // namespace
}  // namespace procpool::test
