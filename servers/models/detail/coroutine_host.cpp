#include "servers/models/detail/coroutine_host.hpp"

#include <exception>
#include <memory>
#include <string>
#include <utility>

namespace procpool::models::detail {
namespace {

class Visit final : public net::Companion {
 public:
  Visit(const Place& place, int socket)
      : server_{place.server},
        client_{client_of(socket)},
        active_{place.server.statistics},
        end_at_stop_{place.stop, socket} {}

  void failed(const std::exception_ptr& problem) override {
    server_.count_failure(client_, text_of(problem));
  }

 private:
  ServerState& server_;
  std::string client_;
  CountActive active_;
  EndAtStop end_at_stop_;
};

}  // namespace

void begin_connection(net::TaskGroup& connections, const Place& place, UniqueFd socket) {
  auto visit = std::make_unique<Visit>(place, socket.fd());
  try {
    net::Task<> task =
        place.handler(net::Stream{place.loop, std::move(socket), &place.server.statistics});
    connections.spawn(std::move(task), std::move(visit));
  } catch (...) {
    visit->failed(std::current_exception());
  }
}

CoroutineHost::CoroutineHost(ServerState& server, const StreamHandler& handler, Doors doors,
                             Options options)
    : options_{std::move(options)},
      loop_{options_.backend},
      stop_{loop_, server, options_.stop_fd < 0 ? server.stop.fd() : options_.stop_fd,
            [this] {
              reception_.close();
              if (options_.on_closed) options_.on_closed();
            }},
      place_{.server = server, .loop = loop_, .stop = stop_.interrupt(), .handler = handler},
      reception_{loop_,
                 server,
                 std::move(doors),
                 {.begin =
                      [this](UniqueFd socket) {
                        begin_connection(connections_, place_, std::move(socket));
                      },
                  .room = [this] { return room(); }},
                 options_.make_acceptor},
      connections_{
          [&server](const std::exception_ptr& problem) { server.complain(text_of(problem)); }} {}

void CoroutineHost::run() {
  reception_.open();
  while (!stop_.over() && !(stop_.raised() && connections_.size() == 0)) {
    loop_.run_once(Deadline::never());
    reception_.end_turn();
    if (options_.on_turn_end) options_.on_turn_end(connections_.size());
  }
}

void serve_alone(ServerState& server, net::Listener& listener, const StreamHandler& handler,
                 CoroutineHost::Options options) {
  options.on_closed = [&] { listener.close(); };
  CoroutineHost host{server, handler, {{&listener}}, std::move(options)};
  const StopSignals signals{host.loop(), server};
  host.run();
}

}  // namespace procpool::models::detail
