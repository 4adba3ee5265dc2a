#include "servers/models/detail/coroutine_host.hpp"

#include <exception>
#include <string>
#include <utility>

namespace procpool::models::detail {
net::Task<> serve_connection(const Place& place, UniqueFd socket) {
  Statistics& statistics = place.server.statistics;
  const CountActive active{statistics};
  const EndAtStop end_at_stop{place.stop, socket.fd()};
  const std::string client = client_of(socket.fd());
  try {
    co_await place.handler(net::Stream{place.loop, std::move(socket), &statistics});
  } catch (...) {
    place.server.count_failure(client, text_of(std::current_exception()));
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
                        connections_.spawn(serve_connection(place_, std::move(socket)));
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
