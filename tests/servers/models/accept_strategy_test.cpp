// Whichever way the workers come by their connections: one that dies at the worst moment costs what
// was in its hands, and nothing else.
#include "servers/models/accept_strategy.hpp"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/process_id.hpp"
#include "ipc/shared.hpp"
#include "servers/models/detail/socket_shares.hpp"
#include "servers/net/socket_option.hpp"
#include "tests/servers/models/line_server.hpp"
#include "tests/support/children.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::models {
namespace {

using namespace std::chrono_literals;
using detail::share_of;
using test::Child;
using test::Client;
using test::eventually;
using test::exited;
using test::is_taken_over_from;
using test::Server;
using test::Visitors;
using Numbers = std::vector<std::size_t>;

TEST(ShareOf, gives_each_socket_a_worker_and_each_worker_a_socket) {
  for (std::uint32_t workers = 1; workers <= 9; ++workers) {
    for (std::size_t sockets = 1; sockets <= 9; ++sockets) {
      std::set<std::size_t> taken;
      for (std::uint32_t number = 0; number < workers; ++number) {
        const Numbers share = share_of({.number = number, .of = workers}, sockets);
        EXPECT_FALSE(share.empty());
        EXPECT_LE(share.size(), (sockets + workers - 1) / workers);
        taken.insert(share.begin(), share.end());
      }
      EXPECT_EQ(taken.size(), sockets);
    }
  }
}

TEST(ShareOf, gives_nothing_to_who_is_not_one_of_them) {
  EXPECT_EQ(share_of({}, 4), Numbers{});
  EXPECT_EQ(share_of({.number = 1, .of = 2}, 0), Numbers{});
}

// A process of somebody else, stopped where it enters and leaves system calls (ptrace(2)). Of the
// thread that made it.
class Tracee {
 public:
  explicit Tracee(pid_t pid) : pid_{pid} {
    request(PTRACE_SEIZE, PTRACE_O_TRACESYSGOOD);
    request(PTRACE_INTERRUPT);
    await_stop();
  }
  Tracee(Tracee&& other) noexcept : pid_{std::exchange(other.pid_, 0)} {}
  Tracee& operator=(Tracee&&) = delete;
  ~Tracee() {
    if (pid_ != 0) kill();
  }

  pid_t pid() const noexcept { return pid_; }

  void resume() { request(PTRACE_SYSCALL); }

  // Whether it has stopped since resume().
  bool stopped() {
    int status = 0;
    return ::waitpid(pid_, &status, WNOHANG | __WALL) == pid_;
  }

  // False: it waits for events instead.
  bool await_stop_or_sleep() {
    bool has_stopped = false;
    EXPECT_TRUE(eventually([&] { return (has_stopped = stopped()) || waits_for_events(); }));
    return has_stopped;
  }

  bool waits_for_events() const {
    const std::string call = read_file("/proc/" + std::to_string(pid_) + "/syscall");
    const auto number = std::strtol(call.c_str(), nullptr, 10);
    return !call.starts_with("running") && is_wait(number) && test_state() == 'S';
  }

  // The system call at whose end it stands was this one, and did not fail.
  bool has_done(long number) const {
    __ptrace_syscall_info info{};
    const auto size = ::ptrace(PTRACE_GET_SYSCALL_INFO, pid_, sizeof info, &info);
    if (size <= 0) throw_errno("ptrace", "GET_SYSCALL_INFO");
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) last_call_ = static_cast<long>(info.entry.nr);
    return info.op == PTRACE_SYSCALL_INFO_EXIT && last_call_ == number && info.exit.rval >= 0;
  }

  void detach() {
    request(PTRACE_INTERRUPT);
    await_stop();
    request(PTRACE_DETACH);
    pid_ = 0;
  }

  void kill() {
    ::kill(pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, __WALL) == pid_ && !WIFSIGNALED(status)) {
    }
    pid_ = 0;
  }

 private:
  static bool is_wait(long number) {
    return number == SYS_epoll_pwait || number == SYS_epoll_pwait2
#ifdef SYS_epoll_wait
           || number == SYS_epoll_wait
#endif
        ;
  }
  char test_state() const {
    const std::string stat = read_file("/proc/" + std::to_string(pid_) + "/stat");
    return stat.at(stat.rfind(')') + 2);
  }
  void request(__ptrace_request what, long data = 0) const {
    if (::ptrace(what, pid_, nullptr, data) < 0) throw_errno("ptrace", std::to_string(pid_));
  }
  void await_stop() const {
    int status = 0;
    if (retry_eintr([&] { return ::waitpid(pid_, &status, __WALL); }) != pid_)
      throw_errno("waitpid", std::to_string(pid_));
  }

  pid_t pid_;
  mutable long last_call_ = -1;
};

Service service_with(AcceptStrategy accept, unsigned workers) {
  return {.workers = workers, .accept = accept};
}

class Accept : public testing::TestWithParam<AcceptStrategy> {
 protected:
  static Service service(unsigned workers) { return service_with(GetParam(), workers); }

  static bool await_workers(const Server& server, std::size_t count) {
    return eventually([&] { return server.workers().size() == count; });
  }
};

INSTANTIATE_TEST_SUITE_P(strategies, Accept, testing::ValuesIn(kAcceptStrategies),
                         [](const auto& tested) {
                           std::string name{name_of(tested.param)};
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

// What one victim went through.
struct Fate {
  bool rested;  // it went back to sleep before its turn to be killed came
  bool had_it;  // the connection was in its hands
  bool answered;
};

// Two workers sleep, a client comes, and the one that is woken for it is killed after so many stops
// at system calls.
Fate kill_after(std::size_t stops, AcceptStrategy accept) {
  const Server server{service_with(accept, 2)};
  const net::Address address = server.address();
  EXPECT_TRUE(eventually([&] { return server.workers().size() == 2; }));
  std::vector<Tracee> workers;
  for (const pid_t pid : server.workers()) workers.emplace_back(pid).resume();
  for (Tracee& worker : workers) {
    while (worker.await_stop_or_sleep()) worker.resume();
  }

  Client client{address};
  client.send("who\n");
  Tracee* victim = nullptr;
  EXPECT_TRUE(eventually([&] {
    for (Tracee& worker : workers) {
      if (worker.stopped()) victim = &worker;
    }
    return victim != nullptr;
  }));
  Tracee& other = victim == &workers[0] ? workers[1] : workers[0];

  // With `pass` it is a worker's when it says so, by the write to an eventfd.
  const long taking = accept == AcceptStrategy::pass ? SYS_write : SYS_accept4;
  Fate fate{.rested = false, .had_it = victim->has_done(taking), .answered = false};
  for (std::size_t stop = 0; stop < stops && !fate.rested; ++stop) {
    victim->resume();
    fate.rested = !victim->await_stop_or_sleep();
    fate.had_it = fate.had_it || (!fate.rested && victim->has_done(taking));
  }
  victim->kill();
  other.detach();
  fate.answered = client.receive().has_value();
  EXPECT_TRUE(Client{address}.ask()) << "nobody takes the next one\n" << server.log_text();
  return fate;
}

TEST_P(Accept, costs_no_connection_but_the_one_in_the_hands_of_a_worker_killed_at_a_system_call) {
  Fate fate{};
  std::size_t stops = 0;
  for (; !fate.rested; ++stops) {
    fate = kill_after(stops, GetParam());
    EXPECT_TRUE(fate.answered || fate.had_it) << "lost when killed after " << stops << " stops";
  }
  EXPECT_TRUE(fate.had_it) << "the test has not seen how it is taken";
  EXPECT_GT(stops, 5u);
}

// It has the turn, a share of the sockets, or has been sent some; but has accepted nothing.
TEST_P(Accept, leaves_to_others_what_has_come_to_a_worker_that_does_nothing) {
  for (const std::size_t victim : {0u, 1u, 2u}) {
    const Server server{service(3)};
    const net::Address address = server.address();
    ASSERT_TRUE(await_workers(server, 3));
    const pid_t pid = server.workers().at(victim);
    ASSERT_EQ(::kill(pid, SIGSTOP), 0);
    std::vector<Client> clients;
    for (int i = 0; i < 60; ++i) clients.emplace_back(address).send("who\n");
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
    for (Client& client : clients) {
      const auto worker = client.receive();
      EXPECT_TRUE(worker) << server.log_text();
      EXPECT_NE(worker, pid);
    }
  }
}

Service everywhere(Service service, const test::TempDir& folder) {
  for (const std::string& address : {std::string{"127.0.0.1:0"}, std::string{"[::1]:0"},
                                     "unix:" + (folder.path() / "socket").string()}) {
    service.listen.push_back(net::Address::parse(address));
  }
  return service;
}

std::vector<net::Address> addresses_of(const Server& server) {
  return {server.address(0), server.address(1), server.address(2)};
}

void lose_nothing_while_generations_and_workers_come_and_go(const Service& service) {
  const test::TempDir folder;
  Server server{everywhere(service, folder)};
  Visitors visitors{addresses_of(server), 6};
  std::minstd_rand random{5};
  for (int round = 0; round < 12; ++round) {
    constexpr std::array kSignals{SIGHUP, SIGTTIN, SIGTTOU};
    server.signal(kSignals[random() % kSignals.size()]);
    ASSERT_TRUE(visitors.await_answers(30)) << server.log_text();
  }
  visitors.stop();
  EXPECT_EQ(visitors.lost(), 0u) << server.log_text();
}

TEST_P(Accept, loses_no_new_connection_while_generations_and_workers_come_and_go) {
  lose_nothing_while_generations_and_workers_come_and_go(service(3));
}

TEST_P(Accept, loses_no_deferred_connection_while_generations_and_workers_come_and_go) {
  Service deferring = service(3);
  deferring.defer_accept = true;
  lose_nothing_while_generations_and_workers_come_and_go(deferring);
}

std::size_t sockets_of(pid_t pid) {
  std::size_t count = 0;
  std::error_code gone;
  for (std::filesystem::directory_iterator entry{"/proc/" + std::to_string(pid) + "/fd", gone}, end;
       !gone && entry != end; entry.increment(gone)) {
    const auto target = std::filesystem::read_symlink(entry->path(), gone).string();
    if (target.starts_with("socket:")) ++count;
  }
  return count;
}

// Whether the master's listening socket does it.
bool defers(const Server& server) {
  const auto pidfd = open_pidfd(server.pid());
  constexpr int kMostDescriptors = 64;
  for (int fd = 0; fd < kMostDescriptors; ++fd) {
    const UniqueFd copy{static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd.fd(), fd, 0))};
    int listens = 0;
    socklen_t size = sizeof listens;
    const bool is_socket = ::getsockopt(copy.fd(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0;
    if (is_socket && listens != 0) return net::get_option(copy.fd(), net::kDeferAccept) > 0s;
  }
  throw Error{"find", "listening socket", "the master has none"};
}

TEST(DeferredAccept, is_chosen_anew_at_each_reload) {
  Server server{{.defer_accept = true}, [on = true](Service service) mutable {
                  service.defer_accept = on = !on;
                  return service;
                }};
  Client quiet{server.address()};
  EXPECT_TRUE(defers(server));
  EXPECT_TRUE(quiet.ask());
  server.signal(SIGHUP);
  EXPECT_TRUE(eventually([&] { return !defers(server); }));
  EXPECT_TRUE(quiet.ask());
  server.signal(SIGHUP);
  EXPECT_TRUE(eventually([&] { return defers(server); }));
}

TEST(DeferredAccept, comes_at_last_for_a_client_who_is_silent) {
  const Server server{{.defer_accept = true}};
  const net::Address address = server.address();
  const pid_t worker = server.workers().front();
  const std::size_t own_sockets = sockets_of(worker);
  Client silent{address};
  EXPECT_TRUE(eventually([&] { return sockets_of(worker) > own_sockets; }));
  EXPECT_TRUE(silent.ask());
}

// Stops one of the workers; nothing: it has ended before.
std::optional<pid_t> stop_one_of(const Server& server, std::minstd_rand& random) {
  const auto workers = server.workers();
  if (workers.empty()) return std::nullopt;
  const pid_t victim = workers[random() % workers.size()];
  ::kill(victim, SIGSTOP);
  std::optional<char> state;
  EXPECT_TRUE(eventually([&] {
    const auto children = test::list_children(server.pid());
    const auto found = std::ranges::find(children, victim, &Child::pid);
    state = found == children.end() ? std::nullopt : std::optional{found->state};
    return !state || state == 'T' || state == 'Z';
  }));
  return state == 'T' ? std::optional{victim} : std::nullopt;
}

TEST_P(Accept, loses_in_a_storm_of_kills_what_the_killed_had_in_their_hands) {
  const test::TempDir folder;
  const Server server{everywhere(service(3), folder)};
  server.address();
  const std::size_t own_sockets = sockets_of(server.workers().front());
  Visitors visitors{addresses_of(server), 6};
  std::minstd_rand random{6};
  std::size_t held = 0;
  for (int kills = 0; kills < 10; ++kills) {
    ASSERT_TRUE(visitors.await_answers(30)) << server.log_text();
    const auto victim = stop_one_of(server, random);
    if (!victim) continue;
    held += sockets_of(*victim) - std::min(own_sockets, sockets_of(*victim));
    ::kill(*victim, SIGKILL);
  }
  ASSERT_TRUE(visitors.await_answers(100)) << server.log_text();
  visitors.stop();
  EXPECT_LE(visitors.lost(), held) << server.log_text();
}

TEST_P(Accept, hands_idle_connections_to_the_next_generation) {
  const test::TempDir folder;
  Server server{everywhere(service(2), folder)};
  for (const net::Address& address : addresses_of(server)) {
    Client client{address};
    const auto old = client.ask();
    ASSERT_TRUE(old);
    server.signal(SIGHUP);
    ASSERT_TRUE(is_taken_over_from({*old}, client)) << server.log_text();
  }
}

TEST_P(Accept, stops_gracefully_and_answers_who_has_asked) {
  Server server{service(2)};
  std::vector<Client> clients;
  clients.reserve(20);
  for (int i = 0; i < 20; ++i) clients.emplace_back(server.address());
  for (Client& client : clients) ASSERT_TRUE(client.ask());
  const pid_t stopped = server.workers().front();
  ASSERT_EQ(::kill(stopped, SIGSTOP), 0);
  for (Client& client : clients) client.send("who\n");
  server.signal(SIGTERM);
  ::kill(stopped, SIGCONT);  // unless its master has done so
  for (Client& client : clients) EXPECT_TRUE(client.receive());
  for (Client& client : clients) EXPECT_TRUE(client.ended());
  EXPECT_EQ(server.wait(), exited(0));
}

TEST_P(Accept, lets_all_workers_have_connections) {
  const Server server{service(3)};
  std::set<pid_t> seen;
  EXPECT_TRUE(eventually([&] {
    std::vector<Client> burst;
    burst.reserve(30);
    for (int i = 0; i < 30; ++i) burst.emplace_back(server.address());
    for (Client& client : burst) client.send("who\n");
    for (Client& client : burst) seen.insert(client.receive().value_or(0));
    return seen.size() == 3;
  })) << seen.size();
}

TEST_P(Accept, serves_everybody_in_turn_when_the_workers_are_full) {
  Service limited = service(2);
  limited.max_connections = 1;
  const Server server{std::move(limited)};
  std::vector<std::optional<Client>> clients(12);
  for (auto& client : clients) client.emplace(server.address()).send("who\n");
  std::size_t answered = 0;
  EXPECT_TRUE(eventually([&] {
    for (auto& client : clients) {
      if (!client || !client->has_answer(Deadline::now())) continue;
      EXPECT_TRUE(client->receive());
      client.reset();
      ++answered;
    }
    return answered == clients.size();
  })) << answered;
}

// From each strategy to each other one, under way.
TEST(AcceptStrategies, follow_each_other_at_a_reload_and_lose_nothing) {
  constexpr std::size_t kCount = kAcceptStrategies.size();
  ipc::Shared<std::atomic<std::size_t>> turn;
  Server server{service_with(AcceptStrategy::shared, 2), [&](Service service) {
                  const std::size_t now = ++*turn;
                  service.accept = kAcceptStrategies[(now / kCount + now) % kCount];
                  service.workers = 2 + static_cast<unsigned>(now % 3);
                  return service;
                }};
  Visitors visitors{{server.address()}, 4};
  Client idle{server.address()};
  ASSERT_TRUE(idle.ask());
  for (std::size_t reload = 1; reload <= 15; ++reload) {
    server.signal(SIGHUP);
    ASSERT_TRUE(server.logs("reloaded: generation " + std::to_string(reload + 1)));
    ASSERT_TRUE(visitors.await_answers(20)) << server.log_text();
    ASSERT_TRUE(idle.ask());
  }
  visitors.stop();
  EXPECT_EQ(visitors.lost(), 0u) << server.log_text();
}

TEST(AcceptStrategies, refuse_an_address_that_another_server_has) {
  const Server first{service_with(AcceptStrategy::reuseport, 2)};
  const net::Address address = first.address();
  for (const AcceptStrategy strategy : kAcceptStrategies) {
    Service service = service_with(strategy, 2);
    service.listen = {address};
    service.make_logger = [] { return make_error_log("test", "-"); };
    EXPECT_THROW((models::Prefork{service, {.reload = [&] { return service; }}}), Error);
  }
}

}  // namespace
}  // namespace procpool::models
