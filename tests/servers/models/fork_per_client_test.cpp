#include "servers/models/fork_per_client.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/servers/models/line_server.hpp"
#include "tests/support/children.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/sanitizers.hpp"

namespace procpool::models {
namespace {

using namespace std::chrono_literals;
using test::Client;
using test::eventually;
using test::exited;
using test::Forked;
using test::kPatience;

// Answers each line with the number of its process. "slow" waits for the end of the connection or
// of the server, and then answers; "throw" throws, "hang" never comes back.
net::Task<> answer_lines(Session& session, net::Stream stream) {
  std::array<char, 256> buffer;
  while (!session.stop().raised()) {
    const auto got = co_await stream.readable(Deadline::in(60s), session.stop());
    if (got.failed()) break;
    std::string line;
    do {
      const auto more = co_await stream.read_some(buffer, Deadline::in(kPatience));
      if (more.failed() || more.bytes == 0) co_return;
      line.append(buffer.data(), more.bytes);
    } while (line.back() != '\n');
    session.slot().doing.set(line.substr(0, line.size() - 1));
    if (line == "throw\n") throw std::runtime_error{"somebody asked for an exception"};
    while (line == "hang\n") ::pause();
    if (line == "slow\n") co_await stream.readable(Deadline::in(60s), session.stop());
    const std::string answer = std::to_string(::getpid()) + "\n";
    if ((co_await stream.write(answer, Deadline::in(kPatience))).failed()) co_return;
  }
  co_await stream.write("0\n", Deadline::in(kPatience));
}

// A ForkPerClient in a process of its own, which ends with the test.
class SessionServer {
 public:
  // `change` makes another service of this one at each reload.
  using Change = std::function<SessionService(const SessionService&)>;
  explicit SessionServer(SessionService wanted = {}, Change change = {})
      : service_{complete(std::move(wanted))}, change_{std::move(change)} {}
  ~SessionServer() {
    if (!master_.ended()) {
      master_.kill(SIGINT);
      master_.wait();
    }
  }

  net::Address address() const {
    EXPECT_TRUE(serving_.wait(Deadline::in(kPatience))) << log_text();
    return net::Address::parse("127.0.0.1:" + std::to_string(port_->load()));
  }
  const SessionBoard& board() const { return *board_; }
  bool has_sessions(std::size_t number) const {
    return eventually([&] { return sessions_of(board()).size() == number; });
  }
  std::string log_text() const {
    return std::filesystem::exists(log()) ? read_file(log()) : std::string{};
  }
  bool logs(std::string_view text) const {
    return eventually([&] { return log_text().find(text) != std::string::npos; });
  }
  pid_t pid() const { return master_.pid(); }
  void signal(int number) { master_.kill(number); }
  test::Ending wait() { return master_.wait(); }
  bool ended() const { return master_.ended(); }

 private:
  std::filesystem::path log() const { return folder_.path() / "log"; }

  SessionService complete(SessionService service) const {
    if (service.listen.empty()) service.listen = {net::Address::parse("127.0.0.1:0")};
    service.handler = answer_lines;
    service.full = "1\n";
    service.too_many_from_there = "2\n";
    service.make_logger = [this] { return make_error_log("test", log()); };
    return service;
  }

  int run() {
    ForkPerClient master{
        service_,
        {.reload = [this] { return change_ ? change_(service_) : service_; },
         .on_serving =
             [this](const auto& addresses) {
               *port_ = addresses.front().port();
               serving_.open();
             }},
        ForkPerClient::Board::attach(UniqueFd{::fcntl(board_.fd(), F_DUPFD_CLOEXEC, 3)})};
    return master.run();
  }

  test::TempDir folder_;
  SessionService service_;
  Change change_;
  ipc::Shared<std::atomic<std::uint16_t>> port_;
  ForkPerClient::Board board_;
  test::Gate serving_;
  Forked master_{[this] { return run(); }};
};

TEST(ForkPerClient, serves_each_client_by_a_process_of_its_own) {
  const SessionServer server;
  std::set<std::optional<pid_t>> pids;
  std::vector<Client> clients;
  for (int i = 0; i < 20; ++i) pids.insert(clients.emplace_back(server.address()).ask());
  EXPECT_EQ(pids.size(), 20U);
  EXPECT_FALSE(pids.contains(server.pid()));
  EXPECT_FALSE(pids.contains(std::nullopt));
}

TEST(ForkPerClient, shows_its_sessions_while_they_live) {
  const SessionServer server;
  std::optional<Client> client{server.address()};
  const auto pid = client->ask("hello\n");
  const auto sessions = sessions_of(server.board());
  ASSERT_EQ(sessions.size(), 1U);
  EXPECT_EQ(sessions[0].pid, *pid);
  EXPECT_EQ(sessions[0].client, "127.0.0.1");
  EXPECT_EQ(sessions[0].doing, "hello");
  client.reset();
  EXPECT_TRUE(server.has_sessions(0));
}

std::vector<pid_t> children_of(const SessionServer& server) {
  std::vector<pid_t> pids;
  for (const test::Child& child : test::list_children(server.pid())) {
    if (child.state != 'Z') pids.push_back(child.pid);
  }
  return pids;
}

// Those that have no client, as soon as there are so many.
std::vector<pid_t> await_spares(const SessionServer& server, std::size_t number) {
  std::vector<pid_t> pids;
  EXPECT_TRUE(eventually([&] {
    pids = children_of(server);
    for (const SessionView& session : sessions_of(server.board())) std::erase(pids, session.pid);
    return pids.size() == number;
  }));
  return pids;
}

TEST(ForkPerClient, hands_clients_to_sessions_that_were_forked_ahead) {
  const SessionServer server{{.spare_sessions = 3}};
  server.address();
  const auto spares = await_spares(server, 3);
  EXPECT_TRUE(sessions_of(server.board()).empty());
  std::set<std::optional<pid_t>> pids;
  std::vector<Client> clients;
  for (int i = 0; i < 20; ++i) pids.insert(clients.emplace_back(server.address()).ask());
  EXPECT_EQ(pids.size(), 20U);
  for (const pid_t spare : spares) EXPECT_TRUE(pids.contains(spare));
  EXPECT_EQ(sessions_of(server.board()).size(), 20U);
  EXPECT_EQ(sessions_of(server.board())[0].client, "127.0.0.1");
  EXPECT_TRUE(eventually([&] { return server.board().served == 20U; }));
  await_spares(server, 3);
  clients.clear();
  EXPECT_TRUE(server.has_sessions(0));
  await_spares(server, 3);
}

TEST(ForkPerClient, counts_those_that_were_forked_ahead_when_they_have_a_client) {
  const SessionServer server{{.max_sessions = 1, .spare_sessions = 2}};
  Client first{server.address()};
  EXPECT_TRUE(first.ask());
  Client second{server.address()};
  EXPECT_EQ(second.receive(), 1);
}

TEST(ForkPerClient, loses_no_client_to_a_session_that_is_killed_before_it_has_him) {
  const SessionServer server{{.spare_sessions = 1}};
  const net::Address address = server.address();
  for (int i = 0; i < 5; ++i) {
    const pid_t spare = await_spares(server, 1).at(0);
    ::kill(spare, SIGSTOP);
    std::optional<Client> client{address};
    client->send("who\n");
    ASSERT_TRUE(server.has_sessions(1));
    ::kill(spare, SIGKILL);
    const auto answer = client->receive();
    ASSERT_TRUE(answer) << server.log_text();
    EXPECT_NE(*answer, spare);
    client.reset();
    ASSERT_TRUE(server.has_sessions(0));
  }
}

TEST(ForkPerClient, forks_another_one_ahead_for_one_that_was_killed) {
  const SessionServer server{{.spare_sessions = 2}};
  server.address();
  for (const pid_t spare : await_spares(server, 2)) ::kill(spare, SIGKILL);
  EXPECT_TRUE(server.logs("which had no client yet"));
  EXPECT_TRUE(Client{server.address()}.ask());
  await_spares(server, 2);
}

TEST(ForkPerClient, forks_others_ahead_for_a_new_configuration) {
  SessionServer server{{.spare_sessions = 3}, [](SessionService service) {
                         service.spare_sessions = 1;
                         return service;
                       }};
  Client client{server.address()};
  const auto pid = client.ask();
  const auto before = await_spares(server, 3);
  server.signal(SIGHUP);
  ASSERT_TRUE(server.logs("reloaded"));
  const auto after = await_spares(server, 1);
  EXPECT_EQ(std::ranges::count(before, after.at(0)), 0);
  EXPECT_EQ(client.ask(), pid);
  server.signal(SIGWINCH);
  EXPECT_EQ(client.receive(), 0);
  await_spares(server, 0);
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(), exited(0));
}

TEST(ForkPerClient, takes_those_that_wait_along_when_it_is_killed) {
  SessionServer server{{.spare_sessions = 3}};
  server.address();
  await_spares(server, 3);
  server.signal(SIGKILL);
  server.wait();
  EXPECT_TRUE(test::await_no_children());
}

TEST(ForkPerClient, refuses_who_is_one_too_many_and_makes_no_process_for_him) {
  const SessionServer server{{.max_sessions = 2}};
  Client first{server.address()};
  std::optional<Client> second{server.address()};
  EXPECT_TRUE(first.ask());
  EXPECT_TRUE(second->ask());
  Client third{server.address()};
  EXPECT_EQ(third.receive(), 1);
  EXPECT_TRUE(third.ended());
  EXPECT_EQ(server.board().served, 2U);
  EXPECT_EQ(server.board().refused, 1U);
  second.reset();
  EXPECT_TRUE(server.has_sessions(1));
  EXPECT_TRUE(Client{server.address()}.ask());
}

TEST(ForkPerClient, refuses_one_address_that_has_too_many) {
  const SessionServer server{{.max_sessions_per_address = 1}};
  Client first{server.address()};
  EXPECT_TRUE(first.ask());
  Client second{server.address()};
  EXPECT_EQ(second.receive(), 2);
}

TEST(ForkPerClient, frees_the_place_of_a_session_that_was_killed) {
  const SessionServer server{{.max_sessions = 1}};
  for (int i = 0; i < 5; ++i) {
    Client client{server.address()};
    const auto pid = client.ask();
    ASSERT_TRUE(pid) << server.log_text();
    ::kill(*pid, SIGKILL);
    EXPECT_TRUE(client.ended());
    ASSERT_TRUE(server.has_sessions(0));
  }
  EXPECT_TRUE(server.logs("killed"));
}

TEST(ForkPerClient, outlives_a_session_that_throws) {
  const SessionServer server;
  Client client{server.address()};
  client.send("throw\n");
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(server.logs("somebody asked for an exception"));
  EXPECT_TRUE(Client{server.address()}.ask());
}

TEST(ForkPerClient, leaves_running_sessions_alone_at_a_reload) {
  SessionServer server{{}, [](SessionService service) {
                         service.max_sessions_per_address = 1;
                         return service;
                       }};
  Client client{server.address()};
  const auto pid = client.ask();
  server.signal(SIGHUP);
  ASSERT_TRUE(server.logs("reloaded"));
  EXPECT_EQ(client.ask(), pid);
  Client another{server.address()};
  EXPECT_EQ(another.receive(), 2);
}

TEST(ForkPerClient, keeps_what_it_has_when_a_reload_fails) {
  SessionServer server{{}, [](SessionService service) {
                         if (service.max_sessions != 0) throw Error{"option", "x", "is wrong"};
                         return service;
                       }};
  Client client{server.address()};
  EXPECT_TRUE(client.ask());
  server.signal(SIGHUP);
  ASSERT_TRUE(server.logs("nothing has changed: option \"x\": is wrong"));
  EXPECT_TRUE(client.ask());
  EXPECT_TRUE(Client{server.address()}.ask());
}

TEST(ForkPerClient, lets_sessions_come_to_their_end_when_it_stops) {
  SessionServer server;
  Client busy{server.address()};
  Client idle{server.address()};
  EXPECT_TRUE(idle.ask());
  EXPECT_TRUE(busy.ask());
  busy.send("slow\n");
  server.signal(SIGTERM);
  EXPECT_TRUE(busy.receive());
  EXPECT_EQ(idle.receive(), 0);
  EXPECT_EQ(server.wait(), exited(0));
}

TEST(ForkPerClient, ends_sessions_that_outlast_the_graceful_timeout) {
  SessionServer server{{.graceful_timeout = 50ms}};
  Client client{server.address()};
  client.send("hang\n");
  ASSERT_TRUE(eventually([&] {
    return !sessions_of(server.board()).empty() && sessions_of(server.board())[0].doing == "hang";
  }));
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(), exited(0));
  EXPECT_TRUE(client.ended());
}

TEST(ForkPerClient, takes_its_sessions_along_when_it_is_killed) {
  SessionServer server;
  Client client{server.address()};
  EXPECT_TRUE(client.ask());
  server.signal(SIGKILL);
  EXPECT_TRUE(client.ended());
  server.wait();
  EXPECT_TRUE(test::await_no_children());
}

TEST(ForkPerClient, accepts_nobody_after_winch_until_it_is_reloaded) {
  SessionServer server;
  Client client{server.address()};
  EXPECT_TRUE(client.ask());
  server.signal(SIGWINCH);
  EXPECT_EQ(client.receive(), 0);
  ASSERT_TRUE(server.has_sessions(0));
  Client waiting{server.address()};
  waiting.send("who\n");
  EXPECT_FALSE(waiting.has_answer(Deadline::in(50ms)));
  server.signal(SIGHUP);
  EXPECT_TRUE(waiting.receive());
}

TEST(ForkPerClient, ends_those_that_winch_has_told_and_no_later_ones) {
  SessionServer server{{.graceful_timeout = 50ms}};
  Client hanging{server.address()};
  hanging.send("hang\n");
  ASSERT_TRUE(eventually([&] {
    const auto sessions = sessions_of(server.board());
    return !sessions.empty() && sessions[0].doing == "hang";
  }));
  server.signal(SIGWINCH);
  ASSERT_TRUE(server.logs("until a reload"));
  server.signal(SIGHUP);
  ASSERT_TRUE(server.logs("reloaded"));
  Client later{server.address()};
  const auto pid = later.ask();
  ASSERT_TRUE(pid);
  EXPECT_TRUE(hanging.ended());
  EXPECT_EQ(later.ask(), pid);
}

TEST(ForkPerClient, serves_who_waited_when_a_shortage_of_descriptors_is_over) {
  if (test::kSanitized) GTEST_SKIP() << "the sanitizer looks at memory through a pipe of its own";
  const SessionServer server;
  const net::Address address = server.address();
  rlimit before{};
  ASSERT_EQ(::prlimit(server.pid(), RLIMIT_NOFILE, nullptr, &before), 0);
  const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
  ASSERT_EQ(::prlimit(server.pid(), RLIMIT_NOFILE, &none, nullptr), 0);
  Client client{address};
  client.send("who\n");
  EXPECT_TRUE(server.logs("accept on 127.0.0.1"));
  ASSERT_EQ(::prlimit(server.pid(), RLIMIT_NOFILE, &before, nullptr), 0);
  EXPECT_TRUE(client.receive());
}

}  // namespace
}  // namespace procpool::models
