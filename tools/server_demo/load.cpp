#include "tools/server_demo/load.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::server_demo {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kGreeting = "hello, server\n";
constexpr std::string_view kRequest = "work for me, please\n";

// So that those who connect do not overflow the queue of the listening socket.
constexpr std::size_t kConnectAtOnce = 256;

// When nothing has moved for so long, nothing will.
constexpr auto kStandstill = 400ms;

// A window in which nobody had an answer says nothing: it lasts until the first one, at most so
// long.
constexpr auto kFirstAnswer = 5s;

bool would_block(int error) noexcept {
  return error == EAGAIN || error == EINPROGRESS || error == ENOTCONN;
}

}  // namespace

unsigned asking_of(Load load, unsigned connections) noexcept {
  constexpr unsigned kMost = 10;
  return load == Load::mostly_idle ? std::clamp(connections / 10, 1U, kMost) : connections;
}

double Answers::per_second() const noexcept {
  return time.count() == 0
             ? 0
             : static_cast<double>(count) / std::chrono::duration<double>{time}.count();
}

std::optional<std::chrono::nanoseconds> Answers::latency(double quantile) const noexcept {
  if (latencies.empty()) return std::nullopt;
  const auto place = static_cast<std::size_t>(quantile * static_cast<double>(latencies.size()));
  return latencies[std::min(place, latencies.size() - 1)];
}

LoadGenerator::LoadGenerator(const net::Address& server, Load load, unsigned connections)
    : server_{server}, load_{load}, clients_(connections) {
  for (unsigned i = 0; i < asking_of(load, connections); ++i) clients_[i].asks = true;
}

unsigned LoadGenerator::open(Deadline deadline) {
  std::size_t begun = 0;
  Deadline standstill = deadline;
  while (begun < clients_.size() || (stays() && served_ < clients_.size())) {
    const std::size_t settled = stays() ? served_ + answers_.lost : begun;
    const std::size_t upto = std::min(clients_.size(), settled + kConnectAtOnce);
    for (; begun < upto; ++begun) begin(begun);
    const bool moved = turn(stays() ? std::min(standstill, deadline) : Deadline::now());
    if (moved && served_ > 0) standstill = Deadline::in(kStandstill);
    if (deadline.expired() || (stays() && standstill.expired())) break;
  }
  return stays() ? served_ : static_cast<unsigned>(begun);
}

Answers LoadGenerator::run(Clock::duration window) {
  answers_ = {};
  for (Client& client : clients_) client.answered = false;
  running_ = true;
  const auto start = Clock::now();
  const Deadline end = Deadline::after(start, window);
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    if (clients_[i].asks && clients_[i].state == State::quiet) ask(i);
  }
  while (!end.expired()) turn(end);
  const Deadline patience = Deadline::in(kFirstAnswer);
  while (answers_.count == 0 && !patience.expired()) turn(patience);
  running_ = false;
  answers_.time = Clock::now() - start;
  std::ranges::sort(answers_.latencies);
  return std::move(answers_);
}

void LoadGenerator::begin(std::size_t index) {
  Client& client = clients_[index];
  client.since = Clock::now();
  client.socket =
      UniqueFd{::socket(server_.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!client.socket.valid()) throw_errno("socket");
  if (::connect(client.socket.fd(), server_.data(), server_.size()) < 0 && errno != EINPROGRESS) {
    ++answers_.lost;
    client.state = State::out;
    client.socket.reset();
    return;
  }
  client.state = State::connecting;
  poller_.add(client.socket.fd(), Interest::write, index);
}

void LoadGenerator::on_connected(std::size_t index) {
  poller_.modify(clients_[index].socket.fd(), Interest::read, index);
  if (stays()) {
    say(index, kGreeting, State::greeting);
  } else {
    say(index, kRequest, State::asking);
  }
}

// A line always has room: at most one is on its way.
void LoadGenerator::say(std::size_t index, std::string_view line, State next) {
  Client& client = clients_[index];
  client.state = next;
  if (::send(client.socket.fd(), line.data(), line.size(), MSG_NOSIGNAL) < 0) {
    leave(index, State::out);
  }
}

void LoadGenerator::ask(std::size_t index) {
  clients_[index].since = Clock::now();
  say(index, kRequest, State::asking);
}

// Answers are as short as what was said: what ends with a newline is whole.
void LoadGenerator::listen_to(std::size_t index) {
  std::array<char, 256> buffer;
  const int socket = clients_[index].socket.fd();
  const ssize_t n = retry_eintr([&] { return ::recv(socket, buffer.data(), buffer.size(), 0); });
  if (n < 0 && would_block(errno)) return;
  if (n <= 0) return leave(index, State::out);
  if (buffer[static_cast<std::size_t>(n) - 1] == '\n') on_answer(index);
}

void LoadGenerator::on_answer(std::size_t index) {
  Client& client = clients_[index];
  if (client.state == State::greeting) {
    ++served_;
    client.state = State::quiet;
  } else {
    ++answered_so_far_;
    if (running_) {
      ++answers_.count;
      if (!std::exchange(client.answered, true)) ++answers_.clients;
      answers_.latencies.push_back(Clock::now() - client.since);
    }
    client.state = State::quiet;
    if (!stays()) {
      leave(index, State::absent);
      return begin(index);
    }
  }
  if (running_ && client.asks) ask(index);
}

void LoadGenerator::leave(std::size_t index, State next) {
  Client& client = clients_[index];
  if (next == State::out) ++answers_.lost;
  poller_.remove(client.socket.fd());
  client.socket.reset();
  client.state = next;
}

// False: nothing was ready before the deadline.
bool LoadGenerator::turn(Deadline deadline) {
  const auto ready = poller_.wait(deadline);
  for (const Readiness& one : ready) {
    const auto index = static_cast<std::size_t>(one.token);
    if (clients_[index].state == State::connecting) {
      on_connected(index);
    } else {
      listen_to(index);
    }
  }
  return !ready.empty();
}

}  // namespace procpool::server_demo
