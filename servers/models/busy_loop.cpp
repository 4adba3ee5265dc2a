#include "servers/models/busy_loop.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "ipc/base/deadline.hpp"
#include "ipc/base/io.hpp"
#include "servers/models/detail/byte_connection.hpp"
#include "servers/models/detail/intake.hpp"

namespace procpool::models {
namespace {

using detail::ByteConnection;

bool is_set(const UniqueFd& event) {
  return wait_ready(event.fd(), POLLIN, Deadline::now()) != 0;
}

struct Client {
  Client(detail::ServerState& server, UniqueFd socket, ByteHandler handler, Deadline idle_end)
      : connection{server, std::move(socket), std::move(handler)}, idle{idle_end} {}

  ByteConnection connection;
  Deadline idle;
};

class Clients {
 public:
  Clients(detail::ServerState& server, const MakeByteHandler& make_handler)
      : server_{server},
        make_handler_{make_handler},
        intake_{{.begin = [this](UniqueFd socket) { begin(std::move(socket)); },
                 .room = [this] { return room(); },
                 .pause = [] {},
                 .complain = [this](const std::string& problem) { server_.complain(problem); },
                 .refused = [this] { server_.statistics.refused.fetch_add(1); }},
                server.options.refusal} {}

  void accept_from(const net::Listener& listener) {
    while (room() > 0) {
      auto socket = intake_.accept(listener);
      if (!socket) return;
      intake_.begin(std::move(*socket));
    }
  }

  void ask_each() {
    std::erase_if(all_, [this](Client& client) {
      const auto wants = client.connection.advance(buffer_, ByteConnection::Reads::what_is_there);
      if (client.connection.moved()) client.idle = next_end();
      return wants == ByteConnection::Wants::end || client.idle.expired();
    });
  }

  void finish_reading() {
    for (Client& client : all_) client.connection.finish_reading();
  }

  bool empty() const noexcept { return all_.empty(); }

 private:
  void begin(UniqueFd socket) {
    all_.emplace_back(server_, std::move(socket), make_handler_(), next_end());
  }
  Deadline next_end() const { return Deadline::in(server_.options.idle_timeout); }
  std::size_t room() const {
    const std::size_t most = server_.options.max_connections;
    return most - std::min(most, all_.size());
  }

  static constexpr std::size_t kBuffer = std::size_t{64} << 10;

  detail::ServerState& server_;
  const MakeByteHandler& make_handler_;
  detail::Intake intake_;
  std::list<Client> all_;
  std::array<char, kBuffer> buffer_;
};

}  // namespace

BusyLoop::BusyLoop(net::Listener listener, ServerOptions options)
    : Server{std::move(options)}, listener_{std::move(listener)} {}

void BusyLoop::run(const MakeByteHandler& make_handler) {
  detail::StopSignals signals{state()};
  const auto clients = std::make_unique<Clients>(state(), make_handler);
  std::optional<Deadline> patience;  // set: it stops
  while (!patience || !(clients->empty() || patience->expired() || is_set(state().stop_now))) {
    signals.obey();
    if (!patience) clients->accept_from(listener_);
    clients->ask_each();
    if (!patience && is_set(state().stop)) {
      patience = Deadline::in(state().options.graceful_timeout);
      clients->accept_from(listener_);
      listener_.close();
      clients->finish_reading();
    }
  }
}

}  // namespace procpool::models
