#include "servers/models/datagram_server.hpp"

#include <signal.h>

#include <array>
#include <cstddef>
#include <exception>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "ipc/base/error.hpp"
#include "proc/process.hpp"
#include "servers/models/detail/crew.hpp"
#include "servers/models/detail/server_state.hpp"

namespace procpool::models {
namespace {

using Received = net::DatagramSocket::Received;

// No datagram is larger: udp(7).
constexpr std::size_t kLongest = std::size_t{64} << 10;

// So that a stop is heard between them.
constexpr int kMostInATurn = 64;

// What is lost on the way, is lost.
void answer(const net::DatagramSocket& socket, const DatagramHandler& handler, std::string_view in,
            const net::Address& from) {
  if (const auto out = handler(in, from)) socket.try_send(*out, from);
}

// How datagrams are answered. Of the thread of run().
class Answering {
 public:
  virtual ~Answering() = default;
  virtual void begin(std::string_view in, const net::Address& from) = 0;  // throws
  virtual std::size_t under_way() const { return 0; }
  virtual void give_up() {}
};

struct Parts {
  Loop& loop;
  detail::ServerState& server;
  const net::DatagramSocket& socket;
  const DatagramHandler& handler;

  void answer_one(std::string_view in, const net::Address& from) const {
    const detail::CountActive active{server.statistics};
    try {
      answer(socket, handler, in, from);
    } catch (...) {
      server.count_failure(from.text(), detail::text_of(std::current_exception()));
    }
  }
};

class InTurn final : public Answering {
 public:
  explicit InTurn(const Parts& parts) : parts_{parts} {}
  void begin(std::string_view in, const net::Address& from) override {
    parts_.answer_one(in, from);
  }

 private:
  Parts parts_;
};

class ByThreads final : public Answering {
 public:
  explicit ByThreads(const Parts& parts)
      : parts_{parts}, bell_{parts.loop, crew_.bell(), Interest::read, [this](const Readiness&) {
                               crew_.join_ended();
                             }} {}

  void begin(std::string_view in, const net::Address& from) override {
    crew_.start([this, text = std::string{in}, from] { parts_.answer_one(text, from); });
  }
  std::size_t under_way() const override { return crew_.size(); }

 private:
  Parts parts_;
  detail::Crew crew_;
  Loop::Watch bell_;
};

class ByProcesses final : public Answering {
 public:
  explicit ByProcesses(const Parts& parts) : parts_{parts} {}

  void begin(std::string_view in, const net::Address& from) override {
    auto process = proc::Process::fork(
        [&] {
          answer(parts_.socket, parts_.handler, in, from);
          return 0;
        },
        {.name = "answer", .die_with_parent = true, .keep_only = {{parts_.socket.fd()}}});
    const auto child =
        children_.emplace(children_.end(), std::move(process), from, parts_.server.statistics);
    child->watch.emplace(parts_.loop, child->process.fd(), Interest::read,
                         [this, child](const Readiness&) { end_of(child); });
  }
  std::size_t under_way() const override { return children_.size(); }
  void give_up() override {
    for (Child& child : children_) child.process.signal(SIGKILL);
  }

 private:
  struct Child {
    Child(proc::Process its_process, const net::Address& its_client, Statistics& statistics)
        : process{std::move(its_process)}, client{its_client}, active{statistics} {}

    proc::Process process;
    net::Address client;
    detail::CountActive active;
    std::optional<Loop::Watch> watch;
  };

  void end_of(std::list<Child>::iterator child) {
    const proc::ExitStatus status = child->process.wait();
    if (!status.success()) parts_.server.count_failure(child->client.text(), status.text());
    children_.erase(child);
  }

  Parts parts_;
  std::list<Child> children_;
};

std::unique_ptr<Answering> make_answering(PerDatagram per_datagram, const Parts& parts) {
  switch (per_datagram) {
    case PerDatagram::turn:
      return std::make_unique<InTurn>(parts);
    case PerDatagram::thread:
      return std::make_unique<ByThreads>(parts);
    case PerDatagram::process:
      return std::make_unique<ByProcesses>(parts);
  }
  return nullptr;
}

}  // namespace

DatagramServer::DatagramServer(net::DatagramSocket socket, DatagramOptions options)
    : Server{std::move(options.server)},
      socket_{std::move(socket)},
      per_datagram_{options.per_datagram} {}

void DatagramServer::run(const DatagramHandler& handler) {
  Loop loop;
  const detail::StopSignals signals{loop, state()};
  const auto answering = make_answering(
      per_datagram_, {.loop = loop, .server = state(), .socket = socket_, .handler = handler});
  const auto buffer = std::make_unique<std::array<char, kLongest>>();
  const auto has_room = [&] { return answering->under_way() < state().options.max_connections; };
  const auto take_some = [&](const Readiness&) {
    for (int taken = 0; taken < kMostInATurn && has_room(); ++taken) {
      const auto received = socket_.try_receive(*buffer);
      if (!received) return;
      state().statistics.count(received->size);
      try {
        answering->begin({buffer->data(), received->size}, received->from);
      } catch (const std::exception& error) {  // there is no thread, or no process
        state().statistics.refused.fetch_add(1);
        state().complain(received->from.text() + ": " + error.what());
      }
    }
  };
  Loop::Watch arrivals{loop, socket_.fd(), Interest::read, take_some};
  const detail::StopWatch stop{loop, state(), state().stop.fd()};
  while (!stop.over() && (!stop.raised() || answering->under_way() > 0)) {
    loop.run_once(Deadline::never());
    arrivals.set_interest(has_room() && !stop.raised() ? Interest::read : Interest::none);
  }
  answering->give_up();
}

}  // namespace procpool::models
