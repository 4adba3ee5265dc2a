#include "servers/models/event_loop.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <exception>
#include <list>
#include <memory>
#include <optional>
#include <utility>

#include "servers/models/detail/byte_connection.hpp"
#include "servers/models/detail/reception.hpp"

namespace procpool::models {
namespace {

using detail::ByteConnection;

class Connections {
 public:
  Connections(Loop& loop, detail::ServerState& server, ByteConnection::Reads reads)
      : loop_{loop}, server_{server}, reads_{reads} {}

  std::size_t size() const noexcept { return all_.size(); }

  void begin(UniqueFd socket, ByteHandler handler) {  // throws Error: the loop cannot take it
    const auto self = all_.emplace(all_.end(), *this, std::move(socket), std::move(handler));
    try {
      self->begin(self);
    } catch (...) {
      all_.erase(self);
      throw;
    }
  }

  void finish_reading() {
    for (Connection& connection : all_) connection.finish_reading();
  }

 private:
  class Connection final : public Loop::Receiver {
   public:
    Connection(Connections& all, UniqueFd socket, ByteHandler handler)
        : all_{all},
          bytes_{all.server_, std::move(socket), std::move(handler)},
          idle_{all.loop_, *this} {}

    void begin(std::list<Connection>::iterator self) {
      self_ = self;
      watch_.emplace(all_.loop_, bytes_.fd(), Interest::read, *this);
      postpone_end();
    }
    void finish_reading() noexcept { bytes_.finish_reading(); }

   private:
    void on_ready(const Readiness&) override {
      const auto wants = bytes_.advance(all_.buffer_, all_.reads_);
      if (wants == ByteConnection::Wants::end) return end();
      if (bytes_.moved()) postpone_end();
      // Any change makes an edge-triggered epoll look anew.
      if (wants == ByteConnection::Wants::turn) watch_->set_interest(Interest::none);
      watch_->set_interest(wants == ByteConnection::Wants::write ? Interest::write
                                                                 : Interest::read);
    }
    void on_deadline() override { end(); }

    void postpone_end() {
      idle_.set(Deadline::after(all_.loop_.now(), all_.server_.options.idle_timeout));
    }
    void end() { all_.all_.erase(self_); }

    Connections& all_;
    std::list<Connection>::iterator self_;
    ByteConnection bytes_;
    std::optional<Loop::Watch> watch_;  // goes before what it watches
    Loop::Timer idle_;
  };

  static constexpr std::size_t kBuffer = std::size_t{64} << 10;

  Loop& loop_;
  detail::ServerState& server_;
  ByteConnection::Reads reads_;
  std::array<char, kBuffer> buffer_;  // for all: nothing is left in it between two calls
  std::list<Connection> all_;
};

}  // namespace

EventLoop::EventLoop(net::Listener listener, Poller::Backend backend, ServerOptions options)
    : Server{std::move(options)}, listener_{std::move(listener)}, backend_{backend} {}

void EventLoop::run(const MakeByteHandler& make_handler) {
  const std::size_t most = state().options.max_connections;
  Loop loop{backend_};
  const detail::StopSignals signals{loop, state()};
  const auto connections = std::make_unique<Connections>(
      loop, state(),
      backend_ == Poller::Backend::epoll_edge ? ByteConnection::Reads::all
                                              : ByteConnection::Reads::what_is_there);
  detail::Reception reception{loop,
                              state(),
                              {{&listener_}},
                              {.begin =
                                   [&](UniqueFd socket) {
                                     try {
                                       connections->begin(std::move(socket), make_handler());
                                     } catch (const std::exception& error) {
                                       state().statistics.refused.fetch_add(1);
                                       state().complain(error.what());
                                     }
                                   },
                               .room = [&] { return most - std::min(most, connections->size()); }}};
  const detail::StopWatch stop{loop, state(), state().stop.fd(), [&] {
                                 reception.close();
                                 listener_.close();
                                 connections->finish_reading();
                               }};
  reception.open();
  while (!stop.over() && (!stop.raised() || connections->size() > 0)) {
    loop.run_once(Deadline::never());
    reception.end_turn();
  }
}

}  // namespace procpool::models
