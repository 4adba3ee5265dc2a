#include "tests/servers/models/ladder.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/models/adapters.hpp"
#include "servers/models/busy_loop.hpp"
#include "servers/models/coroutines.hpp"
#include "servers/models/error_log.hpp"
#include "servers/models/event_loop.hpp"
#include "servers/models/fork_per_client.hpp"
#include "servers/models/iterative.hpp"
#include "servers/models/prefork.hpp"
#include "servers/models/prethread.hpp"
#include "servers/models/thread_per_client.hpp"

namespace procpool::test {
namespace {

using models::AcceptStrategy;

constexpr std::size_t kPiece = std::size_t{64} << 10;

void obey(std::string_view piece) {
  if (piece.starts_with(kThrow)) throw std::runtime_error{std::string{kProblem}};
  if (piece.starts_with(kCrash)) ::kill(::getpid(), SIGKILL);
}

net::Task<> echo_stream(net::Stream stream, std::chrono::milliseconds idle) {
  std::vector<char> buffer(kPiece);
  for (;;) {
    const auto got = co_await stream.read_some(buffer, Deadline::in(idle));
    if (got.failed() || got.bytes == 0) co_return;
    const std::string_view piece{buffer.data(), got.bytes};
    obey(piece);
    if ((co_await stream.write(piece, Deadline::in(idle))).failed()) co_return;
  }
}

models::StreamHandler stream_handler(const Stage& stage) {
  return [idle = stage.settings.idle](net::Stream stream) {
    return echo_stream(std::move(stream), idle);
  };
}

models::ByteHandler echo_bytes() {
  return [](std::string_view in, std::string& out) {
    obey(in);
    out += in;
    return models::Then::go_on;
  };
}

template <typename Server>
int serve_streams(const Stage& stage) {
  Server{stage.listen(), stage.options()}.run(stream_handler(stage));
  return 0;
}

int serve_busily(const Stage& stage) {
  models::BusyLoop{stage.listen(), stage.options()}.run(echo_bytes);
  return 0;
}

template <Poller::Backend backend>
int serve_by(const Stage& stage) {
  models::EventLoop{stage.listen(), backend, stage.options()}.run(echo_bytes);
  return 0;
}

int serve_bytes_over_streams(const Stage& stage) {
  models::Coroutines{stage.listen(), stage.options()}.run(
      models::over_stream(echo_bytes, stage.settings.idle));
  return 0;
}

template <AcceptStrategy accept>
int serve_by_threads(const Stage& stage) {
  models::Prethread{stage.listen(), {.threads = 3, .accept = accept, .server = stage.options()}}
      .run(stream_handler(stage));
  return 0;
}

template <typename Service>
models::Hooks<Service> hooks_for(const Stage& stage, const Service& service) {
  return {.reload = [&service] { return service; },
          .on_serving = [&stage](const auto& addresses) { stage.serving(addresses.front()); }};
}

template <AcceptStrategy accept>
int serve_by_workers(const Stage& stage) {
  models::Service service{.listen = {stage.address},
                          .workers = 2,
                          .accept = accept,
                          .max_connections = stage.settings.max_connections};
  service.make_handler = models::for_workers(stream_handler(stage));
  service.make_logger = [&] { return models::make_error_log("test", stage.log); };
  return models::Prefork{service, hooks_for(stage, service)}.run();
}

int serve_by_sessions(const Stage& stage) {
  models::SessionService service{.listen = {stage.address},
                                 .max_sessions = stage.settings.max_connections,
                                 .max_sessions_per_address = stage.settings.max_connections};
  service.handler = models::for_sessions(stream_handler(stage));
  service.make_logger = [&] { return models::make_error_log("test", stage.log); };
  return models::ForkPerClient{service, hooks_for(stage, service)}.run();
}

constexpr Model workers(const char* name, int (*serve)(const Stage&)) {
  return {.name = name, .serve = serve, .has_processes = true, .has_statistics = false};
}

constexpr std::array kModels{
    Model{.name = "Iterative",
          .serve = serve_streams<models::Iterative>,
          .one_after_the_other = true},
    Model{.name = "BusyLoop", .serve = serve_busily},
    Model{.name = "ThreadPerClient", .serve = serve_streams<models::ThreadPerClient>},
    Model{.name = "PrethreadShared", .serve = serve_by_threads<AcceptStrategy::shared>},
    Model{.name = "PrethreadReuseport", .serve = serve_by_threads<AcceptStrategy::reuseport>},
    Model{.name = "PrethreadLock", .serve = serve_by_threads<AcceptStrategy::lock>},
    Model{.name = "PrethreadFileLock", .serve = serve_by_threads<AcceptStrategy::file_lock>},
    Model{.name = "PrethreadPass", .serve = serve_by_threads<AcceptStrategy::pass>},
    Model{.name = "EventLoopSelect", .serve = serve_by<Poller::Backend::select>},
    Model{.name = "EventLoopPoll", .serve = serve_by<Poller::Backend::poll>},
    Model{.name = "EventLoopEpollLevel", .serve = serve_by<Poller::Backend::epoll_level>},
    Model{.name = "EventLoopEpollEdge", .serve = serve_by<Poller::Backend::epoll_edge>},
    Model{.name = "Coroutines", .serve = serve_streams<models::Coroutines>},
    Model{.name = "CoroutinesOfBytes", .serve = serve_bytes_over_streams},
    workers("ForkPerClient", serve_by_sessions),
    workers("PreforkShared", serve_by_workers<AcceptStrategy::shared>),
    workers("PreforkReuseport", serve_by_workers<AcceptStrategy::reuseport>),
    workers("PreforkLock", serve_by_workers<AcceptStrategy::lock>),
    workers("PreforkFileLock", serve_by_workers<AcceptStrategy::file_lock>),
    workers("PreforkPass", serve_by_workers<AcceptStrategy::pass>),
};

void set_option(int socket, int name, int value) {
  if (::setsockopt(socket, SOL_SOCKET, name, &value, sizeof value) < 0) throw_errno("setsockopt");
}

// Whatever of these may come.
short wait_long(const UniqueFd& socket, short events) {
  const short ready = wait_ready(socket.fd(), events, Deadline::in(kPatience));
  if (ready == 0) throw Error{"wait", "connection", "nothing happens for a long time"};
  return ready;
}

}  // namespace

std::span<const Model> all_models() {
  return kModels;
}

net::Listener Stage::listen() const {
  auto listener = net::Listener::open(address);
  serving(listener.address());
  return listener;
}

models::ServerOptions Stage::options() const {
  return {.max_connections = settings.max_connections,
          .idle_timeout = settings.idle,
          .statistics = &statistics,
          .log = models::make_error_log("test", log)};
}

ModelServer::ModelServer(const Model& model, Transport transport, Settings settings)
    : model_{model}, transport_{transport}, settings_{settings} {}

ModelServer::~ModelServer() {
  if (process_.ended()) return;
  process_.kill(SIGINT);
  process_.wait();
}

int ModelServer::run() {
  if (settings_.descriptors) {
    const rlimit limit{.rlim_cur = *settings_.descriptors, .rlim_max = *settings_.descriptors};
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  return model_.serve(
      {.address = net::Address::parse(transport_ == Transport::tcp
                                          ? "127.0.0.1:0"
                                          : "unix:" + (folder_.path() / "socket").string()),
       .settings = settings_,
       .log = log(),
       .statistics = *statistics_,
       .serving = [this](const net::Address& bound) {
         *port_ = bound.port();
         serving_.open();
       }});
}

net::Address ModelServer::address() const {
  EXPECT_TRUE(serving_.wait(Deadline::in(kPatience))) << log_text();
  if (transport_ == Transport::tcp) {
    return net::Address::parse("127.0.0.1:" + std::to_string(port_->load()));
  }
  return net::Address::parse("unix:" + (folder_.path() / "socket").string());
}

std::string ModelServer::log_text() const {
  return std::filesystem::exists(log()) ? read_file(log()) : std::string{};
}

bool ModelServer::logs(std::string_view text) const {
  return eventually([&] { return log_text().find(text) != std::string::npos; });
}

Ending ModelServer::stop() {
  process_.kill(SIGTERM);
  return process_.wait();
}

void ModelServer::pause() {
  process_.kill(SIGSTOP);
  if (::waitpid(process_.pid(), nullptr, WUNTRACED) < 0) throw_errno("waitpid");
}

void ModelServer::resume() {
  process_.kill(SIGCONT);
}

Peer::Peer(const net::Address& server, Buffers buffers)
    : socket_{::socket(server.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)} {
  if (!socket_.valid()) throw_errno("socket");
  constexpr int kSmall = 4096;
  if (buffers == Buffers::small) {
    set_option(socket_.fd(), SO_RCVBUF, kSmall);
    set_option(socket_.fd(), SO_SNDBUF, kSmall);
  }
  if (::connect(socket_.fd(), server.data(), server.size()) < 0) {
    throw_errno("connect", server.text());
  }
  set_blocking(socket_.fd(), Blocking::no);
}

Peer::Echo Peer::echo(std::string_view message) {
  std::vector<char> buffer(4 * kPiece);
  std::string_view unsent = message;
  Echo echo{.size = 0, .same = true};
  if (unsent.empty()) end_sending();
  for (;;) {
    const short wanted = unsent.empty() ? POLLIN : POLLIN | POLLOUT;
    const short ready = wait_long(socket_, wanted);
    if ((ready & POLLOUT) != 0 && !unsent.empty()) {
      const ssize_t n = ::send(socket_.fd(), unsent.data(), unsent.size(), MSG_NOSIGNAL);
      if (n < 0 && errno != EAGAIN) throw_errno("send", "message");
      if (n > 0) unsent.remove_prefix(static_cast<std::size_t>(n));
      if (unsent.empty()) end_sending();
    }
    if ((ready & ~POLLOUT) == 0) continue;
    const ssize_t n = ::recv(socket_.fd(), buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EAGAIN) continue;
    if (n < 0) throw_errno("receive", "message");
    if (n == 0) return echo;
    const auto size = static_cast<std::size_t>(n);
    echo.same = echo.same && message.size() - echo.size >= size &&
                std::memcmp(message.data() + echo.size, buffer.data(), size) == 0;
    echo.size += size;
  }
}

std::string Peer::exchange(std::string_view message) {
  send(message);
  end_sending();
  return receive(message.size() + 1);
}

void Peer::send(std::string_view message) {
  while (!message.empty()) {
    wait_long(socket_, POLLOUT);
    const ssize_t n = ::send(socket_.fd(), message.data(), message.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) throw_errno("send", "message");
    if (n > 0) message.remove_prefix(static_cast<std::size_t>(n));
  }
}

std::string Peer::receive(std::size_t size) {
  std::string text;
  std::array<char, 4096> buffer;
  while (text.size() < size) {
    wait_long(socket_, POLLIN);
    const ssize_t n =
        ::recv(socket_.fd(), buffer.data(), std::min(buffer.size(), size - text.size()), 0);
    if (n <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return text;
}

void Peer::end_sending() {
  ::shutdown(socket_.fd(), SHUT_WR);
}

bool Peer::ended() {
  return receive(1).empty();
}

std::size_t Peer::send_until_stuck() {
  constexpr std::chrono::milliseconds kStuck{200};
  const std::string piece(kPiece, 'x');
  std::size_t sent = 0;
  while (wait_ready(socket_.fd(), POLLOUT, Deadline::in(kStuck)) != 0) {
    const ssize_t n = ::send(socket_.fd(), piece.data(), piece.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) break;
    if (n > 0) sent += static_cast<std::size_t>(n);
  }
  return sent;
}

void Peer::reset() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  socket_.reset();
}

std::string Peer::address() const {
  return net::Address::local_of(socket_.fd()).text();
}

}  // namespace procpool::test
