#include "tools/server_demo/models.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "servers/models/adapters.hpp"
#include "servers/models/busy_loop.hpp"
#include "servers/models/coroutines.hpp"
#include "servers/models/datagram_server.hpp"
#include "servers/models/error_log.hpp"
#include "servers/models/event_loop.hpp"
#include "servers/models/fork_per_client.hpp"
#include "servers/models/iterative.hpp"
#include "servers/models/prefork.hpp"
#include "servers/models/prethread.hpp"
#include "servers/models/session_board.hpp"
#include "servers/models/thread_per_client.hpp"
#include "servers/net/datagram_socket.hpp"
#include "servers/net/listener.hpp"

namespace procpool::server_demo {
namespace {

using models::AcceptStrategy;
using models::PerDatagram;

constexpr std::chrono::seconds kIdle{60};
constexpr std::chrono::seconds kGrace{5};

net::Listener listen(const Setup& setup) {
  auto listener = net::Listener::open(setup.address);
  if (setup.on_serving) setup.on_serving(listener.address());
  return listener;
}

models::ServerOptions options_of(const Setup& setup) {
  return {.max_connections = setup.max_connections,
          .idle_timeout = kIdle,
          .graceful_timeout = kGrace,
          .log = models::make_error_log("server-demo", setup.log)};
}

template <typename Server>
int serve_streams(const Setup& setup) {
  Server{listen(setup), options_of(setup)}.run(setup.protocol.streams);
  return 0;
}

int serve_busily(const Setup& setup) {
  models::BusyLoop{listen(setup), options_of(setup)}.run(setup.protocol.bytes);
  return 0;
}

template <Poller::Backend backend>
int serve_by(const Setup& setup) {
  models::EventLoop{listen(setup), backend, options_of(setup)}.run(setup.protocol.bytes);
  return 0;
}

template <AcceptStrategy accept>
int serve_by_threads(const Setup& setup) {
  models::Prethread{listen(setup),
                    {.threads = setup.workers, .accept = accept, .server = options_of(setup)}}
      .run(setup.protocol.streams);
  return 0;
}

template <typename Service>
models::Hooks<Service> hooks_for(const Setup& setup, const Service& service) {
  return {.reload = [&service] { return service; },
          .on_serving =
              [&setup](const auto& addresses) {
                if (setup.on_serving) setup.on_serving(addresses.front());
              }};
}

template <AcceptStrategy accept>
int serve_by_workers(const Setup& setup) {
  models::Service service{.listen = {setup.address},
                          .workers = setup.workers,
                          .accept = accept,
                          .max_connections = setup.max_connections,
                          .graceful_timeout = kGrace};
  service.make_handler = models::for_workers(setup.protocol.streams);
  service.make_logger = [&] { return models::make_error_log("server-demo", setup.log); };
  return models::Prefork{service, hooks_for(setup, service)}.run();
}

int serve_by_sessions(const Setup& setup, unsigned spare_sessions) {
  constexpr auto kSlots = static_cast<unsigned>(models::SessionBoard::kSlots);
  const unsigned sessions = std::min(setup.max_connections, kSlots);
  models::SessionService service{.listen = {setup.address},
                                 .max_sessions = sessions,
                                 .max_sessions_per_address = sessions,
                                 .spare_sessions = std::min(spare_sessions, sessions),
                                 .graceful_timeout = kGrace};
  service.handler = models::for_sessions(setup.protocol.streams);
  service.make_logger = [&] { return models::make_error_log("server-demo", setup.log); };
  return models::ForkPerClient{service, hooks_for(setup, service)}.run();
}

int serve_by_forking(const Setup& setup) {
  return serve_by_sessions(setup, 0);
}
int serve_by_forking_ahead(const Setup& setup) {
  return serve_by_sessions(setup, setup.workers);
}

template <PerDatagram per_datagram>
int serve_datagrams(const Setup& setup) {
  auto socket = net::DatagramSocket::bind(setup.address);
  if (setup.on_serving) setup.on_serving(socket.address());
  auto options = options_of(setup);
  options.statistics = setup.datagram_statistics;
  models::DatagramServer{std::move(socket),
                         {.per_datagram = per_datagram, .server = std::move(options)}}
      .run(setup.protocol.datagrams);
  return 0;
}

constexpr Model threads(std::string_view name, int (*serve)(const Setup&),
                        std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .family = Family::threads,
          .form = Form::streams,
          .serve = serve,
          .has_workers = true,
          .is_variant = true};
}

constexpr Model workers(std::string_view name, int (*serve)(const Setup&),
                        std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .family = Family::processes,
          .form = Form::streams,
          .serve = serve,
          .has_workers = true,
          .is_variant = true};
}

constexpr Model first(Model model) {
  model.is_variant = false;
  return model;
}

constexpr Model sessions(std::string_view name, int (*serve)(const Setup&),
                         std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .family = Family::processes,
          .form = Form::streams,
          .serve = serve,
          .most_connections = models::SessionBoard::kSlots,
          .limit = "its board has 4,096 places"};
}

constexpr Model call_backs(std::string_view name, int (*serve)(const Setup&),
                           std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .family = Family::call_backs,
          .form = Form::bytes,
          .serve = serve};
}

constexpr Model at_most(Model model, unsigned connections, std::string_view why) {
  model.most_connections = connections;
  model.limit = why;
  return model;
}

constexpr Model datagrams(std::string_view name, int (*serve)(const Setup&),
                          std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .family = Family::datagrams,
          .form = Form::datagrams,
          .serve = serve};
}

constexpr std::array kModels{
    Model{.name = "iterative",
          .summary = "one client after the other; the next one waits until this one leaves",
          .family = Family::alone,
          .form = Form::streams,
          .serve = serve_streams<models::Iterative>},
    Model{.name = "busy-loop",
          .summary = "asks each connection in turn, without ever waiting: a processor for nothing",
          .family = Family::alone,
          .form = Form::bytes,
          .serve = serve_busily},
    Model{.name = "thread-per-client",
          .summary = "a thread for each client, made when he comes",
          .family = Family::threads,
          .form = Form::streams,
          .serve = serve_streams<models::ThreadPerClient>},
    first(threads("prethread-shared", serve_by_threads<AcceptStrategy::shared>,
                  "threads made ahead, a loop of coroutines in each; the kernel wakes one")),
    threads("prethread-reuseport", serve_by_threads<AcceptStrategy::reuseport>,
            "the same; each has a socket of its own, the kernel distributes"),
    threads("prethread-lock", serve_by_threads<AcceptStrategy::lock>,
            "the same; who holds a mutex accepts"),
    threads("prethread-file-lock", serve_by_threads<AcceptStrategy::file_lock>,
            "the same; who holds a file lock accepts"),
    threads("prethread-pass", serve_by_threads<AcceptStrategy::pass>,
            "the same; one more thread accepts and hands on"),
    sessions("fork-per-client", serve_by_forking,
             "a process for each client, forked when he comes"),
    first(sessions("fork-ahead", serve_by_forking_ahead,
                   "a process for each client; as many as --workers says wait for theirs")),
    first(workers("prefork-shared", serve_by_workers<AcceptStrategy::shared>,
                  "processes forked ahead, a loop of coroutines in each; the kernel wakes one")),
    workers("prefork-reuseport", serve_by_workers<AcceptStrategy::reuseport>,
            "the same; each has a socket of its own, the kernel distributes"),
    workers("prefork-lock", serve_by_workers<AcceptStrategy::lock>,
            "the same; who holds a mutex accepts"),
    workers("prefork-file-lock", serve_by_workers<AcceptStrategy::file_lock>,
            "the same; who holds a file lock accepts"),
    workers("prefork-pass", serve_by_workers<AcceptStrategy::pass>,
            "the same; the master accepts and passes descriptors"),
    at_most(call_backs("event-loop-select", serve_by<Poller::Backend::select>,
                       "call-backs, one thread; the kernel is given all descriptors each time"),
            1000, "select(2) knows no descriptor from 1,024 on"),
    call_backs("event-loop-poll", serve_by<Poller::Backend::poll>,
               "call-backs, one thread; the same without select's limit"),
    call_backs("event-loop-epoll", serve_by<Poller::Backend::epoll_level>,
               "call-backs, one thread; the kernel remembers the descriptors"),
    call_backs("event-loop-epoll-edge", serve_by<Poller::Backend::epoll_edge>,
               "the same, told of each arrival once: read until there is nothing more"),
    Model{.name = "coroutines",
          .summary = "one thread, a coroutine for each client: reads like blocking code",
          .family = Family::coroutines,
          .form = Form::streams,
          .serve = serve_streams<models::Coroutines>},
    datagrams("udp-turn", serve_datagrams<PerDatagram::turn>, "datagrams, one after the other"),
    datagrams("udp-thread", serve_datagrams<PerDatagram::thread>, "datagrams, a thread for each"),
    datagrams("udp-process", serve_datagrams<PerDatagram::process>,
              "datagrams, a process for each: one that crashes costs its answer"),
};

}  // namespace

Handlers handlers_of(const models::MakeByteHandler& bytes) {
  return {.streams = models::over_stream(bytes, kIdle), .bytes = bytes};
}

std::span<const Model> all_models() {
  return kModels;
}

const Model* model_named(std::string_view name) noexcept {
  const auto* const found = std::ranges::find(kModels, name, &Model::name);
  return found == kModels.end() ? nullptr : found;
}

std::string_view name_of(Form form) noexcept {
  constexpr std::array<std::string_view, 3> kNames{"StreamHandler", "ByteHandler",
                                                   "DatagramHandler"};
  return kNames[static_cast<std::size_t>(form)];
}

}  // namespace procpool::server_demo
