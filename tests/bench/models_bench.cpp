// What the server models cost, beside what can be written by hand: in one run, in turns.
//
// Echo: the server's CPU per message of 64 bytes, 32 clients, one processor; in nanoseconds.
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "proc/process.hpp"
#include "servers/models/adapters.hpp"
#include "servers/models/coroutines.hpp"
#include "servers/models/error_log.hpp"
#include "servers/models/event_loop.hpp"
#include "servers/models/fork_per_client.hpp"
#include "servers/models/prefork.hpp"
#include "servers/net/connect.hpp"
#include "servers/net/listener.hpp"
#include "tests/bench/contest.hpp"

namespace procpool::models {
namespace {

using namespace std::chrono_literals;
using bench::Contest;
using bench::Target;
using Nanoseconds = double;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMessage = 64;
constexpr std::size_t kClients = 32;
constexpr int kRounds = 1500;
constexpr int kConnections = 200;
constexpr std::size_t kIdle = 5000;

// A server in a process of its own, until this object is destroyed.
class Apart {
 public:
  using Body = std::function<void(net::Listener)>;
  explicit Apart(const Body& body)
      : Apart{net::Listener::open(net::Address::parse("127.0.0.1:0")), body} {}

  // The body opens the address itself.
  Apart(const net::Address& address, const std::function<void()>& body)
      : address_{address}, process_{fork(body)} {}
  Apart(const Apart&) = delete;
  Apart& operator=(const Apart&) = delete;
  ~Apart() { process_.stop({{SIGTERM, 2s}, {SIGKILL, proc::kForever}}); }

  const net::Address& address() const { return address_; }

  // On which its threads have run so far: clock_getcpuclockid(3).
  Nanoseconds cpu() const {
    clockid_t clock{};
    timespec time{};
    ::clock_getcpuclockid(process_.pid(), &clock);
    ::clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
  }

  std::size_t resident() const {
    std::ifstream file{"/proc/" + std::to_string(process_.pid()) + "/statm"};
    std::size_t all = 0;
    std::size_t pages = 0;
    file >> all >> pages;
    return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  }

  static void on_cpu(int number) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(number, &set);
    ::sched_setaffinity(0, sizeof set, &set);
  }

 private:
  Apart(net::Listener listener, const Body& body)
      : address_{listener.address()}, process_{fork([&] { body(std::move(listener)); })} {}

  static proc::Process fork(const std::function<void()>& body) {
    return proc::Process::fork(
        [&] {
          on_cpu(0);
          body();
          return 0;
        },
        {.name = "server", .die_with_parent = true});
  }

  net::Address address_;
  proc::Process process_;
};

UniqueFd connect_to(const net::Address& address) {
  auto made = net::connect(address, Deadline::in(20s));
  if (made.failed()) throw_errno("connect", address.text(), made.error);
  set_blocking(made.socket.fd(), Blocking::yes);
  return std::move(made.socket);
}

std::vector<UniqueFd> connect_all(const net::Address& address, std::size_t count) {
  std::vector<UniqueFd> sockets;
  sockets.reserve(count);
  for (std::size_t i = 0; i < count; ++i) sockets.push_back(connect_to(address));
  return sockets;
}

// All clients ask, then all are answered: so the server finds many ready at once, as under load.
void exchange(const std::vector<UniqueFd>& clients) {
  std::array<std::byte, kMessage> message{};
  for (const UniqueFd& client : clients) write_full(client.fd(), message, "client");
  for (const UniqueFd& client : clients) read_full(client.fd(), message, "client");
}

Nanoseconds per_message(const Apart::Body& body) {
  const Apart server{body};
  const auto clients = connect_all(server.address(), kClients);
  for (int i = 0; i < 50; ++i) exchange(clients);
  const Nanoseconds before = server.cpu();
  for (int i = 0; i < kRounds; ++i) exchange(clients);
  return (server.cpu() - before) / (kRounds * static_cast<double>(kClients));
}

// ---- The servers

void echo_by_hand(const net::Listener& listener) {
  const UniqueFd epoll{::epoll_create1(EPOLL_CLOEXEC)};
  const auto watch = [&](int fd) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    ::epoll_ctl(epoll.fd(), EPOLL_CTL_ADD, fd, &event);
  };
  watch(listener.fd());
  std::array<epoll_event, 256> events;
  std::array<char, 4096> buffer;
  for (;;) {
    const int n = ::epoll_wait(epoll.fd(), events.data(), events.size(), -1);
    for (int i = 0; i < n; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == listener.fd()) {
        watch(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        continue;
      }
      const ssize_t size = ::recv(fd, buffer.data(), buffer.size(), 0);
      if (size > 0) {
        ::send(fd, buffer.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL);
      } else {
        UniqueFd{fd}.reset();
      }
    }
  }
}

net::Task<bool> echo_once(net::Stream& stream) {
  std::array<char, 4096> buffer;
  const auto got = co_await stream.read_some(buffer, Deadline::in(60s));
  if (got.failed() || got.bytes == 0) co_return false;
  const auto sent = co_await stream.write({buffer.data(), got.bytes}, Deadline::in(30s));
  co_return !sent.failed();
}

net::Task<> echo(net::Stream stream) {
  std::array<char, 512> buffer;
  for (;;) {
    const auto got = co_await stream.read_some(buffer, Deadline::in(60s));
    if (got.failed() || got.bytes == 0) co_return;
    if ((co_await stream.write({buffer.data(), got.bytes}, Deadline::in(30s))).failed()) co_return;
  }
}

// Has no buffer while it idles.
net::Task<> echo_frugally(net::Stream stream) {
  for (;;) {
    const auto woken = co_await stream.readable(Deadline::in(600s));
    if (woken.failed()) co_return;
    const bool goes_on = co_await echo_once(stream);
    if (!goes_on) co_return;
  }
}

ByteHandler echo_bytes() {
  return [](std::string_view in, std::string& out) {
    out += in;
    return Then::go_on;
  };
}

constexpr unsigned kMost = 20'000;

Nanoseconds by_hand() {
  return per_message([](net::Listener listener) { echo_by_hand(listener); });
}

Nanoseconds by_event_loop() {
  return per_message([](net::Listener listener) {
    EventLoop{std::move(listener), Poller::Backend::epoll_level, {.max_connections = kMost}}.run(
        echo_bytes);
  });
}

Nanoseconds by_coroutines() {
  return per_message([](net::Listener listener) {
    Coroutines{std::move(listener), {.max_connections = kMost}}.run(echo);
  });
}

// ---- Coroutines themselves

// Suspended and resumed without a loop.
struct Pass {
  std::coroutine_handle<>& waiting;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> self) const noexcept { waiting = self; }
  void await_resume() const noexcept {}
};

net::Task<> pass(std::coroutine_handle<>& waiting, int times) {
  for (int i = 0; i < times; ++i) co_await Pass{waiting};
}

Nanoseconds of_a_switch() {
  constexpr int kSwitches = 2'000'000;
  std::coroutine_handle<> waiting;
  net::TaskGroup group{[](const std::exception_ptr&) {}};
  group.spawn(pass(waiting, kSwitches));
  const auto start = Clock::now();
  while (group.size() > 0) waiting.resume();
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count() / kSwitches;
}

double bytes_of_an_idle_connection() {
  const Apart server{[](net::Listener listener) {
    Coroutines{std::move(listener), {.max_connections = kMost}}.run(echo_frugally);
  }};
  const auto some = connect_all(server.address(), 500);
  exchange(some);
  const std::size_t before = server.resident();
  const auto more = connect_all(server.address(), kIdle);
  exchange(some);
  exchange(more);
  return static_cast<double>(server.resident() - before) / static_cast<double>(kIdle);
}

// ---- New connections, in microseconds each

double per_connection(const net::Address& address) {
  std::array<std::byte, kMessage> message{};
  const auto visit = [&] {
    const UniqueFd client = connect_to(address);
    write_full(client.fd(), message, "client");
    read_full(client.fd(), message, "client");
  };
  for (int i = 0; i < 20; ++i) visit();
  const auto start = Clock::now();
  for (int i = 0; i < kConnections; ++i) visit();
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count() / kConnections;
}

// Its port is none that the kernel gives to clients: one who comes before the server would find
// himself there.
net::Address free_address() {
  constexpr int kFirst = 20'000;
  constexpr int kLast = 30'000;
  for (int port = kFirst + ::getpid() % 5000; port < kLast; ++port) {
    const auto address = net::Address::parse("127.0.0.1:" + std::to_string(port));
    try {
      return net::Listener::open(address).address();
    } catch (const Error&) {  // somebody has it
      continue;
    }
  }
  throw Error{"measure", "server", "no port is free"};
}

// They open their addresses themselves.
template <typename Serve>
double connections_of(const Serve& serve) {
  const net::Address address = free_address();
  const Apart server{address, [&] { serve(address); }};
  while (net::connect(server.address(), Deadline::in(1s)).failed()) {
    std::this_thread::sleep_for(1ms);
  }
  return per_connection(server.address());
}

double by_sessions() {
  return connections_of([](const net::Address& address) {
    SessionService service{.listen = {address}, .max_sessions_per_address = 2000};
    service.handler = for_sessions(echo);
    service.make_logger = [] { return make_error_log("bench", "/dev/null"); };
    ForkPerClient{service, {.reload = [&] { return service; }}}.run();
  });
}

double by_workers() {
  return connections_of([](const net::Address& address) {
    Service service{.listen = {address}, .workers = 1};
    service.make_handler = for_workers(echo);
    service.make_logger = [] { return make_error_log("bench", "/dev/null"); };
    Prefork{service, {.reload = [&] { return service; }}}.run();
  });
}

double by_python() {
  return connections_of([](const net::Address& address) {
    const std::string port = std::to_string(address.port());
    const std::string program =
        "import socketserver\n"
        "class Echo(socketserver.BaseRequestHandler):\n"
        "    def handle(self):\n"
        "        while data := self.request.recv(4096): self.request.sendall(data)\n"
        "class Server(socketserver.ForkingTCPServer):\n"
        "    allow_reuse_address = True\n"
        "    request_queue_size = 4096\n"
        "Server(('127.0.0.1', " +
        port + "), Echo).serve_forever()\n";
    ::execlp("python3", "python3", "-c", program.c_str(), nullptr);
  });
}

constexpr Contest kContests[] = {
    {"epoll", "ns of CPU per message: EventLoop", "bare epoll loop", &by_event_loop, &by_hand,
     Target::times_as_long, 1.10},
    {"coroutines", "ns of CPU per message: Coroutines", "bare epoll loop", &by_coroutines, &by_hand,
     Target::times_as_long, 1.15},
    {"switch", "ns of a coroutine's switch", "", &of_a_switch, nullptr, Target::at_most, 100},
    {"idle", "bytes of an idle connection", "", &bytes_of_an_idle_connection, nullptr,
     Target::at_most, 512},
    {"fork-per-client", "us per connection: ForkPerClient", "Python's ForkingTCPServer",
     &by_sessions, &by_python, Target::times_as_fast, 2},
    {"prefork", "us per connection: Prefork", "Python's ForkingTCPServer", &by_workers, &by_python,
     Target::times_as_fast, 5},
};

}  // namespace
}  // namespace procpool::models

int main(int argc, char** argv) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::signal(SIGPIPE, SIG_IGN);
  procpool::models::Apart::on_cpu(static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)) - 1);
  return procpool::bench::contest_main("models_bench", procpool::models::kContests, argc, argv);
}
