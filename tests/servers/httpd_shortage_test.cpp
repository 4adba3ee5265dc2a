// procpool-httpd where descriptors are short, and where it is the first process of a container.
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/deadline.hpp"
#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "proc/process.hpp"
#include "servers/net/address.hpp"
#include "tests/support/children.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {
namespace {

using namespace std::chrono_literals;
using proc::ExitStatus;

// User and system time of a process: fields 14 and 15 of /proc/PID/stat, proc(5).
std::chrono::duration<double> cpu_time(pid_t pid) {
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream fields{stat.substr(stat.rfind(')') + 2)};
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return std::chrono::duration<double>{(user + system) /
                                       static_cast<double>(::sysconf(_SC_CLK_TCK))};
}

TEST(Shortage, of_descriptors_is_told_to_clients_and_ends_with_them) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer probes memory by a pipe, for which it needs two";
  constexpr rlim_t kDescriptors = 40;
  constexpr std::size_t kClients = 60;
  HttpServer server{{.arguments = {"--workers", "1"},
                     .built_in_site = true,
                     .child = {.limits = {{RLIMIT_NOFILE, kDescriptors, kDescriptors}}}}};
  const std::vector<pid_t> workers = server.worker_pids();
  const auto began = Deadline::Clock::now();
  const auto cpu_before = cpu_time(workers.at(0));

  std::vector<std::unique_ptr<HttpClient>> clients;
  clients.reserve(kClients);
  for (std::size_t i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<HttpClient>(server.port()));
  }
  std::vector<int> statuses;
  statuses.reserve(kClients);
  for (const auto& client : clients) statuses.push_back(client->get("/").status);
  const auto served = std::count(statuses.begin(), statuses.end(), 200);
  const auto refused = std::count(statuses.begin(), statuses.end(), 503);
  EXPECT_GT(served, 0);
  EXPECT_GT(refused, 0);
  EXPECT_EQ(static_cast<std::size_t>(served + refused), kClients);
  EXPECT_TRUE(server.await_error("Too many open files"));

  const std::chrono::duration<double> passed = Deadline::Clock::now() - began;
  EXPECT_LT((cpu_time(workers.at(0)) - cpu_before).count(), passed.count() / 2) << "it spins";

  clients.clear();
  EXPECT_TRUE(eventually([&] { return HttpClient{server.port()}.get("/").status == 200; }));
  EXPECT_EQ(server.worker_pids(), workers);
  EXPECT_EQ(server.stop(), ExitStatus::exited(0));
}

TEST(Shortage, of_places_lets_clients_wait_for_one) {
  const HttpServer server{
      {.arguments = {"--workers", "1", "--max-connections", "2"}, .built_in_site = true}};
  auto first = std::make_unique<HttpClient>(server.port());
  HttpClient second{server.port()};
  EXPECT_EQ(first->get("/").status, 200);
  EXPECT_EQ(second.get("/").status, 200);
  HttpClient third{server.port()};
  third.send(get_request("/"));
  EXPECT_FALSE(third.readable(Deadline::in(100ms)));
  first.reset();
  EXPECT_EQ(third.receive().status, 200);
}

TEST(Container, has_its_strangers_reaped_by_the_server) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can make a pid namespace";
  const TempDir dir;
  const std::string address = "unix:" + (dir.path() / "socket").string();
  // Without a /proc of its own: in a root that is no mount point it could not be mounted.
  auto container =
      proc::Process::spawn({"unshare", "--pid", "--fork", "--kill-child", httpd_program(),
                            "--listen", address, "--workers", "2"},
                           {.die_with_parent = true,
                            .redirections = {proc::Redirection::null(1),
                                             proc::Redirection::file(2, dir.path() / "stderr")}});
  const auto serves = [&] {
    try {
      return HttpClient{net::Address::parse(address)}.get("/").status == 200;
    } catch (const Error&) {
      return false;
    }
  };
  ASSERT_TRUE(eventually(serves)) << read_file(dir.path() / "stderr");
  const pid_t init = list_children(container.pid()).at(0).pid;

  // The shell ends at once, and leaves a child to the first process of its namespace.
  EXPECT_TRUE(run_program({"nsenter", "--pid", "--target", std::to_string(init), "sh", "-c",
                           "sleep 1000 & "})
                  .status.success());
  const auto stranger = [&] {
    const auto children = list_children(init);
    const auto found = std::find_if(children.begin(), children.end(),
                                    [](const Child& child) { return child.name == "sleep"; });
    return found == children.end() ? 0 : found->pid;
  };
  ASSERT_TRUE(eventually([&] { return stranger() != 0; }));
  ::kill(stranger(), SIGKILL);
  EXPECT_TRUE(eventually([&] { return stranger() == 0; }));
  EXPECT_EQ(list_children(init).size(), 2u) << describe(list_children(init));
  EXPECT_TRUE(serves());

  ::kill(init, SIGTERM);
  EXPECT_EQ(container.wait(), ExitStatus::exited(0));
}

}  // namespace
}  // namespace procpool::test
