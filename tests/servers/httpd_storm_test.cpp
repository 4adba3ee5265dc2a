// procpool-httpd under fire: reloads, crashes and stops, while clients ask without a pause.
//
// Each storm lasts PROCPOOL_STORM_SECONDS (2).
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/process_id.hpp"
#include "proc/process.hpp"
#include "servers/net/address.hpp"
#include "tests/support/children.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/keep_alive_clients.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using proc::ExitStatus;

constexpr auto kBeat = 300ms;
constexpr unsigned kClients = 32;
constexpr std::size_t kBig = std::size_t{1} << 20;

std::chrono::milliseconds storm_length() {
  const char* seconds = std::getenv("PROCPOOL_STORM_SECONDS");
  return std::chrono::seconds{seconds != nullptr ? std::atoi(seconds) : 2};
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  std::ofstream file{path, std::ios::binary};
  file << text;
  if (!file.flush()) throw_errno("write", path.string());
}

std::string big_body() {
  std::string body(kBig, '\0');
  std::minstd_rand random{7};
  for (char& byte : body) byte = static_cast<char>('a' + random() % 26);
  return body;
}

bool is_stopped(pid_t parent, pid_t child) {
  const auto children = list_children(parent);
  return std::ranges::any_of(
      children, [&](const Child& one) { return one.pid == child && one.state == 'T'; });
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

std::size_t sockets_of(pid_t pid) {
  return static_cast<std::size_t>(std::ranges::count_if(
      descriptors_of(pid), [](const auto& target) { return target.starts_with("socket:"); }));
}

bool holds_text(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::size_t count_of(const std::string& text, std::string_view part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// A folder with a site of two files, a configuration, and logs.
struct Place {
  Place() {
    std::filesystem::create_directory(site());
    write_file(site() / "small", small);
    write_file(site() / "big", big);
    configure();
  }

  std::filesystem::path site() const { return dir.path() / "site"; }
  std::string config() const { return dir.path() / "httpd.toml"; }
  std::string log() const { return dir.path() / "error.log"; }

  void configure(std::string_view more = {}, unsigned workers = 4) const {
    write_file(config(), "workers = " + std::to_string(workers) + "\n" + std::string{more} + "\n");
  }
  std::string root_line() const { return "root = \"" + site().string() + "\"\n"; }

  std::string log_text() const {
    return std::filesystem::exists(log()) ? read_file(log()) : std::string{};
  }

  TempDir dir;
  std::string small = "small and quick\n";
  std::string big = big_body();
};

// A procpool-httpd in its place.
class Httpd {
 public:
  Httpd(const Place& place, const std::vector<std::string>& arguments)
      : place_{place},
        server_{
            {.arguments = arguments_of(place, arguments), .listen = {}, .built_in_site = true}} {}

  static Httpd serving(const Place& place, const std::string& listen = "127.0.0.1:0") {
    return {place, {"--listen", listen, "--root", place.site()}};
  }

  static std::vector<std::string> arguments_of(const Place& place,
                                               const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"--config", place.config(), "--error-log", place.log()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  pid_t pid() const { return server_.pid(); }
  net::Address address() const {
    return net::Address::parse("127.0.0.1:" + std::to_string(server_.port()));
  }
  void signal(int number) { server_.signal(number); }
  bool is_running() { return server_.process().is_running(); }
  ExitStatus wait() { return server_.process().wait(); }
  ExitStatus stop(int signal_number = SIGTERM) { return server_.stop(signal_number); }

  std::vector<pid_t> workers() const { return server_.worker_pids(); }

  bool has_workers(std::size_t count) const {
    const auto now = list_children(pid());
    return now.size() == count &&
           std::ranges::all_of(now, [](const Child& worker) { return worker.state != 'Z'; });
  }
  void await_workers(std::size_t count) const {
    EXPECT_TRUE(eventually([&] { return has_workers(count); }))
        << describe(list_children(pid())) << ", and not " << count << " workers\n"
        << place_.log_text();
  }

  void await_log(std::string_view text, std::size_t times = 1) const {
    EXPECT_TRUE(eventually([&] { return count_of(place_.log_text(), text) >= times; }))
        << text << " is not in the log:\n"
        << place_.log_text();
  }

  std::size_t reloads() const { return count_of(place_.log_text(), "reloaded: generation "); }

  void reload() {
    const std::size_t before = reloads();
    signal(SIGHUP);
    await_log("reloaded: generation ", before + 1);
  }

 private:
  const Place& place_;
  HttpServer server_;
};

// What must be the same again after every storm.
struct Census {
  std::size_t workers;
  std::vector<std::string> kinds;  // of the master's descriptors, without the inode numbers

  static Census of(const Httpd& server) {
    Census census{.workers = server.workers().size(), .kinds = {}};
    for (const std::string& target : descriptors_of(server.pid())) {
      census.kinds.push_back(target.substr(0, target.find(':')));
    }
    std::ranges::sort(census.kinds);
    return census;
  }
  friend bool operator==(const Census&, const Census&) = default;
};

std::ostream& operator<<(std::ostream& out, const Census& census) {
  out << census.workers << " workers, " << census.kinds.size() << " descriptors:";
  for (const std::string& kind : census.kinds) out << ' ' << kind;
  return out;
}

// The same as before, when what still drains is gone. No zombie is among the workers.
void expect_as_before(const Httpd& server, const Census& before) {
  EXPECT_TRUE(eventually([&] {
    return server.has_workers(before.workers) && Census::of(server) == before;
  })) << "before: "
      << before << "\nafter:  " << Census::of(server);
}

void every_beat(const std::function<void()>& action, std::chrono::milliseconds beat = kBeat) {
  const auto end = Clock::now() + storm_length();
  while (Clock::now() + beat < end) {
    std::this_thread::sleep_for(beat);
    action();
  }
}

void show(const ClientCounts& counts, const std::string& more) {
  std::cout << "[  FIGURES ] " << counts << "; " << more << std::endl;
}

std::string reloads_text(const Httpd& server) {
  return std::to_string(server.reloads()) + " reloads";
}

ClientPlan small_plan(const Place& place, const Httpd& server) {
  return {
      .server = server.address(), .target = "/small", .body = place.small, .connections = kClients};
}

void expect_nothing_lost(const ClientCounts& counts) {
  EXPECT_EQ(counts.lost, 0u);
  EXPECT_EQ(counts.wrong, 0u);
  EXPECT_EQ(counts.closed_idle, 0u);
  EXPECT_EQ(counts.told_to_close, 0u);
  EXPECT_EQ(counts.refused, 0u);
  EXPECT_GT(counts.answered, 0u);
}

// Clients as planned, and what is done to the server at each beat. Nothing may be lost.
void storm_without_loss(const Place& place, Httpd& server, const ClientPlan& plan,
                        const std::function<void()>& action) {
  const Census before = Census::of(server);
  KeepAliveClients clients{plan};
  clients.await_answers(plan.connections);
  every_beat(action);
  clients.await_answers(plan.connections);
  const ClientCounts counts = clients.stop();
  show(counts, reloads_text(server));
  expect_nothing_lost(counts);
  server.signal(SIGHUP);  // as many workers as the configuration says, whatever was added
  server.await_workers(before.workers);
  expect_as_before(server, before);
  EXPECT_EQ(server.stop(), ExitStatus::exited(0)) << place.log_text();
}

bool refuses_connections(const net::Address& server) {
  try {
    const HttpClient probe{server};
    return false;
  } catch (const Error& error) {
    return error.code().value() == ECONNREFUSED || error.code().value() == ENOENT;
  }
}

bool ended(HttpClient& client) {
  const Received rest = client.receive_rest();
  return rest.answers.empty() && rest.end == End::closed;
}

// --- reloads ---

TEST(HttpdReload, loses_nothing_of_clients_back_to_back) {
  const Place place;
  Httpd server = Httpd::serving(place);
  storm_without_loss(place, server, small_plan(place, server), [&] { server.signal(SIGHUP); });
}

TEST(HttpdReload, loses_nothing_of_clients_that_pause) {
  const Place place;
  Httpd server = Httpd::serving(place);
  ClientPlan plan = small_plan(place, server);
  plan.longest_pause = 50ms;
  storm_without_loss(place, server, plan, [&] { server.signal(SIGHUP); });
}

TEST(HttpdReload, loses_nothing_of_clients_that_pipeline) {
  const Place place;
  Httpd server = Httpd::serving(place);
  ClientPlan plan = small_plan(place, server);
  plan.in_flight = 16;
  storm_without_loss(place, server, plan, [&] { server.signal(SIGHUP); });
}

TEST(HttpdReload, loses_nothing_of_big_answers) {
  const Place place;
  Httpd server = Httpd::serving(place);
  ClientPlan plan = small_plan(place, server);
  plan.target = "/big";
  plan.body = place.big;
  storm_without_loss(place, server, plan, [&] { server.signal(SIGHUP); });
}

TEST(HttpdReload, loses_nothing_while_workers_come_and_go) {
  const Place place;
  Httpd server = Httpd::serving(place);
  std::minstd_rand random{2};
  storm_without_loss(place, server, small_plan(place, server), [&] {
    for (int i = 0; i < 3; ++i) server.signal(random() % 2 == 0 ? SIGTTIN : SIGTTOU);
    server.signal(SIGHUP);
    server.signal(random() % 2 == 0 ? SIGTTIN : SIGTTOU);
  });
}

TEST(HttpdReload, of_a_broken_configuration_changes_nothing_and_says_why) {
  const Place place;
  Httpd server = Httpd::serving(place);
  std::size_t broken = 0;
  storm_without_loss(place, server, small_plan(place, server), [&] {
    place.configure("worker-s = 7");
    server.signal(SIGHUP);
    server.await_log(place.config() + ":2", ++broken);
    place.configure();
  });
  EXPECT_TRUE(holds_text(place.log_text(), "reload failed, nothing has changed: " + place.config() +
                                               ":2:1 \"worker-s\": unknown key"))
      << place.log_text();
}

TEST(HttpdReload, loses_nothing_in_a_mixture_of_signals) {
  const Place place;
  Httpd server = Httpd::serving(place);
  ClientPlan plan = small_plan(place, server);
  plan.longest_pause = 20ms;
  std::minstd_rand random{3};
  storm_without_loss(place, server, plan, [&] {
    for (int i = 0; i < 3; ++i) {
      constexpr std::array kSignals{SIGHUP, SIGTTIN, SIGTTOU, SIGUSR1};
      server.signal(kSignals[random() % kSignals.size()]);
      std::this_thread::sleep_for(std::chrono::milliseconds{random() % 30});
    }
    constexpr auto kComplaint = "must be an array of strings";
    const std::size_t complaints = count_of(place.log_text(), kComplaint);
    place.configure("listen = 1");
    server.signal(SIGHUP);
    server.await_log(kComplaint, complaints + 1);
    place.configure();
  });
}

// A worker that retires for WINCH closes idle connections, and a client may be just about to use
// his. He may come to each of the retiring workers in turn.
TEST(HttpdReload, serves_again_after_its_workers_have_retired) {
  const Place place;
  Httpd server = Httpd::serving(place);
  const Census before = Census::of(server);
  ClientPlan plan = small_plan(place, server);
  plan.longest_pause = 20ms;
  KeepAliveClients clients{plan};
  clients.await_answers(kClients);
  unsigned times = 0;
  every_beat([&] {
    ++times;
    server.signal(SIGWINCH);
    server.await_workers(0);
    server.reload();
  });
  clients.await_answers(kClients);
  const ClientCounts counts = clients.stop();
  show(counts, std::to_string(times) + " times WINCH and HUP");
  EXPECT_LE(counts.lost + counts.closed_idle + counts.told_to_close,
            times * before.workers * kClients);
  EXPECT_EQ(counts.wrong, 0u);
  EXPECT_EQ(counts.refused, 0u);
  expect_as_before(server, before);
  EXPECT_EQ(server.stop(), ExitStatus::exited(0));
}

TEST(HttpdReload, changes_the_number_of_workers) {
  const Place place;
  Httpd server = Httpd::serving(place);
  for (const unsigned workers : {2u, 7u, 1u}) {
    place.configure({}, workers);
    server.reload();
    server.await_workers(workers);
  }
}

TEST(HttpdReload, changes_the_root_beneath_an_open_connection) {
  const Place place;
  place.configure(place.root_line());
  Httpd server{place, {"--listen", "127.0.0.1:0"}};
  HttpClient client{server.address()};
  EXPECT_EQ(client.get("/small").body, place.small);

  std::filesystem::create_directory(place.dir.path() / "other");
  write_file(place.dir.path() / "other" / "small", "another one\n");
  place.configure("root = \"" + (place.dir.path() / "other").string() + "\"");
  server.reload();
  server.await_workers(4);
  EXPECT_EQ(client.get("/small").body, "another one\n");
}

TEST(HttpdReload, of_a_root_that_is_gone_is_refused) {
  const Place place;
  place.configure(place.root_line());
  Httpd server{place, {"--listen", "127.0.0.1:0"}};
  HttpClient client{server.address()};
  const std::string nowhere = place.dir.path() / "nowhere";
  place.configure("root = \"" + nowhere + "\"");
  server.signal(SIGHUP);
  server.await_log("reload failed, nothing has changed: " + place.config() +
                   ":2:8 \"root\": open \"" + nowhere + "\": No such file or directory");
  EXPECT_EQ(client.get("/small").body, place.small);
  server.await_workers(4);
}

TEST(HttpdReload, adds_and_removes_addresses) {
  const Place place;
  const std::string path = place.dir.path() / "http.sock";
  const std::string at_first = "listen = [\"127.0.0.1:0\", \"unix:" + path + "\"]\n";
  place.configure(at_first);
  Httpd server{place, {"--root", place.site()}};
  const auto unix_address = net::Address::parse("unix:" + path);
  HttpClient old_client{unix_address};
  EXPECT_EQ(old_client.get("/small").body, place.small);
  HttpClient downloading{unix_address};
  downloading.send(get_request("/big"));

  place.configure("listen = [\"127.0.0.1:0\"]");
  server.reload();
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_TRUE(eventually([&] { return refuses_connections(unix_address); }));
  EXPECT_EQ(downloading.receive().body, place.big);
  EXPECT_EQ(old_client.get("/small").body, place.small);

  place.configure(at_first);
  server.reload();
  EXPECT_EQ(HttpClient{unix_address}.get("/small").body, place.small);
  EXPECT_EQ(HttpClient{server.address()}.get("/small").body, place.small);
  EXPECT_EQ(server.stop(), ExitStatus::exited(0));
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(HttpdReload, of_an_address_that_is_taken_changes_nothing) {
  const Place place;
  place.configure("listen = [\"127.0.0.1:0\"]");
  Httpd first{place, {"--root", place.site()}};
  const Place other_place;
  const Httpd second = Httpd::serving(other_place);
  place.configure("listen = [\"127.0.0.1:0\", \"" + second.address().text() + "\"]");
  first.signal(SIGHUP);
  first.await_log("reload failed, nothing has changed: listen \"" + second.address().text() +
                  "\": Address already in use");
  EXPECT_EQ(HttpClient{first.address()}.get("/small").body, place.small);
}

TEST(HttpdReload, answers_what_was_sent_to_an_address_that_it_removes) {
  const Place place;
  const std::string path = place.dir.path() / "http.sock";
  const std::string both = "listen = [\"127.0.0.1:0\", \"unix:" + path + "\"]\n";
  place.configure(both);
  Httpd server{place, {"--root", place.site()}};
  const auto unix_address = net::Address::parse("unix:" + path);
  place.configure("listen = [\"127.0.0.1:0\"]");
  server.signal(SIGSTOP);
  for (const pid_t worker : server.workers()) ::kill(worker, SIGSTOP);
  std::vector<HttpClient> clients;
  for (int i = 0; i < 16; ++i) {
    clients.emplace_back(unix_address).send(get_request("/small"));
  }
  server.signal(SIGHUP);
  server.signal(SIGCONT);  // the workers are woken by the order to drain
  for (HttpClient& client : clients) EXPECT_EQ(client.receive().body, place.small);
}

TEST(HttpdReload, changes_logs_and_limits) {
  const Place place;
  const std::string first_log = place.dir.path() / "first.log";
  const std::string second_log = place.dir.path() / "second.log";
  place.configure("access-log = \"" + first_log + "\"");
  Httpd server = Httpd::serving(place);
  HttpClient client{server.address()};
  EXPECT_EQ(client.get("/small?1").body, place.small);
  EXPECT_TRUE(eventually([&] { return holds_text(read_file(first_log), "/small?1"); }));

  place.configure("access-log = \"" + second_log + "\"\nidle-timeout = \"200ms\"");
  server.reload();
  EXPECT_EQ(client.get("/small?2").body, place.small);
  EXPECT_TRUE(ended(client)) << "the new idle-timeout does not hold";
  EXPECT_TRUE(eventually([&] { return holds_text(read_file(second_log), "/small?2"); }));
  EXPECT_FALSE(holds_text(read_file(first_log), "/small?2"));
}

TEST(HttpdReload, is_refused_when_its_workers_cannot_start) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can run workers as another user";
  const Place place;
  ::chmod(place.dir.path().c_str(), 0755);
  const auto hidden = place.dir.path() / "hidden";
  std::filesystem::create_directory(hidden);
  std::filesystem::permissions(hidden, std::filesystem::perms::owner_all);
  const std::string bad = "user = \"nobody\"\naccess-log = \"" + (hidden / "log").string() + "\"";
  const std::string reason = "\"" + (hidden / "log").string() + "\": Permission denied";

  Httpd server = Httpd::serving(place);
  HttpClient client{server.address()};
  place.configure(bad);
  server.signal(SIGHUP);
  server.await_log("reload failed, nothing has changed: ");
  EXPECT_TRUE(holds_text(place.log_text(), reason)) << place.log_text();
  EXPECT_EQ(client.get("/small").body, place.small);
  server.await_workers(4);
  EXPECT_EQ(server.stop(), ExitStatus::exited(0));

  EXPECT_EQ(run_httpd(Httpd::arguments_of(place, {"--listen", "127.0.0.1:0"})).status,
            ExitStatus::exited(1));
  EXPECT_TRUE(holds_text(place.log_text(), "no worker could start: ")) << place.log_text();
}

TEST(HttpdReload, at_once_with_a_retired_worker_leaves_a_worker) {
  const Place place;
  place.configure({}, 1);
  Httpd server = Httpd::serving(place);
  for (std::size_t round = 1; round <= 10; ++round) {
    server.signal(SIGHUP);
    server.signal(SIGTTOU);
    server.await_log("reloaded: generation ", round);
    server.await_workers(1);
    EXPECT_EQ(HttpClient{server.address()}.get("/small").body, place.small);
  }
}

// --- crashes ---

// How many connections a worker holds: the sockets that it did not have from the start.
std::size_t connections_of(pid_t worker, std::size_t own_sockets) {
  return sockets_of(worker) - own_sockets;
}

// The victim is stopped while its connections are counted, or it would accept more meanwhile.
void storm_of_crashes(const std::function<void(pid_t)>& crash) {
  const Place place;
  Httpd server = Httpd::serving(place);
  const std::size_t own_sockets = sockets_of(server.workers().front());
  const Census before = Census::of(server);
  KeepAliveClients clients{small_plan(place, server)};
  clients.await_answers(kClients);
  std::minstd_rand random{4};
  std::size_t held = 0;
  unsigned crashes = 0;
  every_beat([&] {
    const auto workers = server.workers();
    if (workers.empty()) return;
    const pid_t victim = workers[random() % workers.size()];
    ::kill(victim, SIGSTOP);
    EXPECT_TRUE(eventually([&] { return is_stopped(server.pid(), victim); }));
    held += connections_of(victim, own_sockets);
    crash(victim);
    ++crashes;
  });
  clients.await_answers(kClients);
  const ClientCounts counts = clients.stop();
  show(counts, std::to_string(crashes) + " crashes with " + std::to_string(held) +
                   " connections in their hands");
  EXPECT_LE(counts.lost + counts.closed_idle, held);
  EXPECT_EQ(counts.wrong, 0u);
  EXPECT_EQ(counts.refused, 0u);
  expect_as_before(server, before);
  EXPECT_EQ(server.stop(), ExitStatus::exited(0)) << place.log_text();
}

TEST(HttpdCrash, by_sigkill_costs_what_the_worker_held) {
  storm_of_crashes([](pid_t worker) { ::kill(worker, SIGKILL); });
}

TEST(HttpdCrash, by_a_bug_costs_what_the_worker_held) {
  unsigned turn = 0;
  storm_of_crashes([&](pid_t worker) {
    ::kill(worker, ++turn % 2 == 0 ? SIGSEGV : SIGABRT);
    ::kill(worker, SIGCONT);
  });
}

// The victim is stopped, has the order to drain in its mailbox, and dies before or while it hands
// over.
TEST(HttpdCrash, while_connections_are_handed_over_costs_what_the_worker_held) {
  const Place place;
  Httpd server = Httpd::serving(place);
  const std::size_t own_sockets = sockets_of(server.workers().front());
  const Census before = Census::of(server);
  ClientPlan plan = small_plan(place, server);
  plan.connections = 128;
  plan.longest_pause = 20ms;
  KeepAliveClients clients{plan};
  clients.await_answers(plan.connections);
  std::minstd_rand random{5};
  std::size_t held = 0;
  unsigned crashes = 0;
  every_beat([&] {
    server.await_workers(before.workers);
    clients.await_answers(plan.connections);
    const pid_t victim = server.workers()[random() % before.workers];
    ::kill(victim, SIGSTOP);
    EXPECT_TRUE(eventually([&] { return is_stopped(server.pid(), victim); }));
    held += connections_of(victim, own_sockets);
    server.signal(SIGHUP);
    std::this_thread::sleep_for(std::chrono::microseconds{random() % 20'000});
    ::kill(victim, SIGKILL);
    ++crashes;
  });
  clients.await_answers(plan.connections);
  const ClientCounts counts = clients.stop();
  show(counts, std::to_string(crashes) + " crashes with " + std::to_string(held) +
                   " connections in their hands, " + reloads_text(server));
  EXPECT_LE(counts.lost + counts.closed_idle, held);
  EXPECT_EQ(counts.wrong, 0u);
  EXPECT_EQ(counts.refused, 0u);
  server.reload();
  expect_as_before(server, before);
  EXPECT_EQ(server.stop(), ExitStatus::exited(0));
}

TEST(HttpdCrash, in_a_loop_is_slowed_down_and_recovers_from) {
  const Place place;
  Httpd server = Httpd::serving(place);
  const Census before = Census::of(server);
  std::set<pid_t> killed;
  every_beat(
      [&] {
        for (const pid_t worker : server.workers()) {
          ::kill(worker, SIGKILL);
          killed.insert(worker);
        }
      },
      5ms);
  EXPECT_TRUE(server.is_running());
  EXPECT_LE(killed.size(), 4u * 16u) << "there is no back-off";
  EXPECT_TRUE(holds_text(place.log_text(), ": starts again in ")) << place.log_text();
  server.await_workers(4);
  EXPECT_EQ(HttpClient{server.address()}.get("/small").body, place.small);
  expect_as_before(server, before);
}

// --- the master ---

TEST(HttpdMaster, leaves_no_worker_behind_when_it_is_killed) {
  const Place place;
  const std::string pid_file = place.dir.path() / "httpd.pid";
  std::string listen = "127.0.0.1:0";
  std::minstd_rand random{6};
  for (int round = 0; round < 6; ++round) {
    Httpd server{place, {"--listen", listen, "--root", place.site(), "--pid-file", pid_file}};
    listen = server.address().text();  // the next one must get the same
    KeepAliveClients clients{small_plan(place, server)};
    clients.await_answers(kClients);
    if (round % 2 == 1) {  // while it reloads
      server.signal(SIGHUP);
      std::this_thread::sleep_for(std::chrono::microseconds{random() % 10'000});
    }
    server.signal(SIGSTOP);  // it forks no more while we look
    EXPECT_TRUE(eventually([&] { return is_stopped(::getpid(), server.pid()); }));
    std::vector<UniqueFd> workers;
    for (const pid_t worker : server.workers()) workers.push_back(open_pidfd(worker));
    const auto killed = Clock::now();
    EXPECT_EQ(server.stop(SIGKILL), ExitStatus::signaled(SIGKILL));
    for (const UniqueFd& worker : workers) {
      EXPECT_TRUE(wait_ready(worker.fd(), POLLIN, Deadline::in(10s)) != 0) << "a worker lives on";
    }
    const auto lasted = Clock::now() - killed;
    std::cout << "[  FIGURES ] " << workers.size() << " workers gone after "
              << std::chrono::duration_cast<std::chrono::microseconds>(lasted).count() << " us\n";
    clients.stop();
    EXPECT_TRUE(await_no_children());
  }
}

TEST(HttpdMaster, serves_again_at_once_after_it_was_killed) {
  const Place place;
  const std::string pid_file = place.dir.path() / "httpd.pid";
  const std::string path = place.dir.path() / "http.sock";
  std::string listen = "127.0.0.1:0";
  for (int round = 0; round < 10; ++round) {
    Httpd server{place,
                 {"--listen", listen, "--listen", "unix:" + path, "--root", place.site(),
                  "--pid-file", pid_file}};
    listen = server.address().text();
    EXPECT_EQ(HttpClient{server.address()}.get("/small").body, place.small);
    EXPECT_EQ(HttpClient{net::Address::parse("unix:" + path)}.get("/small").body, place.small);
    EXPECT_EQ(server.stop(SIGKILL), ExitStatus::signaled(SIGKILL));
  }
  EXPECT_TRUE(await_no_children());
}

TEST(HttpdMaster, answers_what_had_arrived_when_it_was_told_to_stop) {
  for (const int signal_number : {SIGTERM, SIGQUIT}) {
    const Place place;
    Httpd server = Httpd::serving(place);
    std::vector<HttpClient> clients;
    for (int i = 0; i < 24; ++i) {
      EXPECT_EQ(clients.emplace_back(server.address()).get("/small").body, place.small);
    }
    for (std::size_t i = 0; i < clients.size(); ++i)
      clients[i].send(get_request(i % 3 == 0 ? "/big" : "/small"));
    for (int i = 0; i < 24; ++i) clients.emplace_back(server.address()).send(get_request("/small"));
    server.signal(signal_number);
    for (std::size_t i = 0; i < clients.size(); ++i) {
      EXPECT_EQ(clients[i].receive().body, i < 24 && i % 3 == 0 ? place.big : place.small) << i;
      EXPECT_TRUE(ended(clients[i]));
    }
    clients.clear();
    EXPECT_EQ(server.wait(), ExitStatus::exited(0));
  }
}

TEST(HttpdMaster, answers_all_that_was_pipelined_when_it_was_told_to_stop) {
  const Place place;
  Httpd server = Httpd::serving(place);
  std::vector<HttpClient> clients;
  clients.reserve(8);
  for (int i = 0; i < 8; ++i) clients.emplace_back(server.address());
  for (const pid_t worker : server.workers()) ::kill(worker, SIGSTOP);
  std::string requests;
  for (int i = 0; i < 50; ++i) requests += get_request("/small");
  for (HttpClient& client : clients) client.send(requests);
  server.signal(SIGTERM);
  for (HttpClient& client : clients) {
    const Received received = client.receive_rest();
    EXPECT_EQ(received.statuses(), std::vector<int>(50, 200));
    EXPECT_EQ(received.end, End::closed);
  }
  clients.clear();
  EXPECT_EQ(server.wait(), ExitStatus::exited(0));
}

// A client may be about to use a connection that is closed because it idles: that request is lost.
TEST(HttpdMaster, stops_under_load) {
  const Place place;
  Httpd server = Httpd::serving(place);
  KeepAliveClients clients{small_plan(place, server)};
  clients.await_answers(1000);
  EXPECT_EQ(server.stop(), ExitStatus::exited(0));
  const ClientCounts counts = clients.stop();
  show(counts, "stopped");
  EXPECT_EQ(counts.wrong, 0u);
}

// A client who does not read keeps a graceful stop waiting.
TEST(HttpdMaster, stops_at_once_when_it_is_told_again) {
  for (const int second : {SIGTERM, SIGQUIT, SIGINT}) {
    const Place place;
    write_file(place.site() / "huge", std::string(64 * kBig, 'x'));
    Httpd server = Httpd::serving(place);
    HttpClient sleepy{server.address()};
    sleepy.send(get_request("/huge"));
    EXPECT_EQ(HttpClient{server.address()}.get("/small").body, place.small);
    server.signal(SIGTERM);
    server.await_workers(1);
    EXPECT_TRUE(server.is_running());
    EXPECT_EQ(server.stop(second), ExitStatus::exited(0));
  }
}

TEST(HttpdMaster, stops_at_once_for_int_and_after_the_graceful_timeout) {
  const Place place;
  write_file(place.site() / "huge", std::string(64 * kBig, 'x'));
  {
    Httpd server = Httpd::serving(place);
    HttpClient sleepy{server.address()};
    sleepy.send(get_request("/huge"));
    EXPECT_EQ(server.stop(SIGINT), ExitStatus::exited(0));
  }
  place.configure("graceful-timeout = \"500ms\"");
  Httpd server = Httpd::serving(place);
  HttpClient sleepy{server.address()};
  sleepy.send(get_request("/huge"));
  EXPECT_EQ(HttpClient{server.address()}.get("/small").body, place.small);
  EXPECT_EQ(server.stop(), ExitStatus::exited(0));
}

TEST(HttpdMaster, lets_every_generation_finish_when_it_stops) {
  const Place place;
  write_file(place.site() / "huge", std::string(16 * kBig, 'x'));
  Httpd server = Httpd::serving(place);
  std::vector<HttpClient> downloads;
  for (int generation = 0; generation < 3; ++generation) {
    downloads.emplace_back(server.address()).send(get_request("/huge"));
    EXPECT_EQ(HttpClient{server.address()}.get("/small").body, place.small);
    server.reload();
  }
  EXPECT_GT(server.workers().size(), 4u);
  server.signal(SIGTERM);
  for (HttpClient& download : downloads) EXPECT_EQ(download.receive().body.size(), 16 * kBig);
  EXPECT_EQ(server.wait(), ExitStatus::exited(0));
}

// Requests that arrive on connections which are on their way to the next generation.
TEST(HttpdMaster, answers_what_is_being_handed_over_when_it_stops) {
  const Place place;
  Httpd server = Httpd::serving(place);
  std::vector<HttpClient> clients;
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(clients.emplace_back(server.address()).get("/small").body, place.small);
  }
  server.reload();
  for (HttpClient& client : clients) client.send(get_request("/small"));
  server.signal(SIGTERM);
  for (HttpClient& client : clients) {
    EXPECT_EQ(client.receive_rest().statuses(), std::vector<int>{200});
  }
  clients.clear();
  EXPECT_EQ(server.wait(), ExitStatus::exited(0));
}

TEST(HttpdMaster, stops_cleanly_while_it_starts) {
  const Place place;
  for (int round = 0; round < 5; ++round) {
    std::vector<std::string> argv = Httpd::arguments_of(place, {"--listen", "127.0.0.1:0"});
    argv.insert(argv.begin(), httpd_program());
    auto server =
        proc::Process::spawn(argv, {.redirections = {proc::Redirection::file(1, "/dev/null")}});
    EXPECT_TRUE(eventually([&] { return !list_children(server.pid()).empty(); }));
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), ExitStatus::exited(0));
  }
}

}  // namespace
}  // namespace procpool::test
