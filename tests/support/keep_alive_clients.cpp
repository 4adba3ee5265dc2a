#include "tests/support/keep_alive_clients.hpp"

#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/loop.hpp"
#include "tests/support/eventually.hpp"

namespace procpool::test {
namespace {

using namespace std::chrono_literals;
using Clock = Deadline::Clock;

constexpr auto kPauseAfterRefusal = 5ms;
constexpr std::string_view kHeadEnd = "\r\n\r\n";

std::uint64_t ms_since(Clock::time_point start) {
  return static_cast<std::uint64_t>(
      std::chrono::floor<std::chrono::milliseconds>(Clock::now() - start).count());
}

void raise_to(std::atomic<std::uint64_t>& greatest, std::uint64_t value) {
  if (value > greatest) greatest = value;
}

// Of answers that have a Content-Length.
class AnswerReader {
 public:
  explicit AnswerReader(const std::string& body) : body_{&body} {}

  struct Answer {
    bool right;
    bool last;  // "Connection: close"
  };

  // Takes bytes from the front, until an answer is complete or nothing is left.
  std::optional<Answer> read(std::string_view& bytes) {
    if (!in_body_ && !read_head(bytes)) return std::nullopt;
    const std::string_view piece = bytes.substr(0, length_ - received_);
    right_ = right_ && std::string_view{*body_}.substr(received_, piece.size()) == piece;
    received_ += piece.size();
    bytes.remove_prefix(piece.size());
    if (received_ < length_) return std::nullopt;
    in_body_ = false;
    return Answer{.right = right_, .last = last_};
  }

 private:
  bool read_head(std::string_view& bytes) {
    const std::size_t had = head_.size();
    head_ += bytes;
    const std::size_t end = head_.find(kHeadEnd, had < kHeadEnd.size() ? 0 : had - kHeadEnd.size());
    if (end == std::string::npos) {
      bytes = {};
      return false;
    }
    bytes.remove_prefix(end + kHeadEnd.size() - had);
    head_.resize(end);
    length_ = content_length();
    received_ = 0;
    right_ = head_.starts_with("HTTP/1.1 200 ") && length_ == body_->size();
    last_ = head_.find("\r\nConnection: close") != std::string::npos;
    in_body_ = true;
    head_.clear();
    return true;
  }

  std::size_t content_length() const {
    constexpr std::string_view kName = "\r\nContent-Length: ";
    const std::size_t at = head_.find(kName);
    std::size_t length = 0;
    if (at != std::string::npos) {
      std::from_chars(head_.data() + at + kName.size(), head_.data() + head_.size(), length);
    }
    return length;
  }

  const std::string* body_;
  std::string head_;
  bool in_body_ = false;
  bool right_ = false;
  bool last_ = false;
  std::size_t length_ = 0;
  std::size_t received_ = 0;
};

// What all clients of the process share.
struct Crowd {
  const ClientPlan& plan;
  ClientTally& tally;
  std::string requests;  // as many as are in flight
  Loop loop{};
  std::vector<char> buffer = std::vector<char>(std::size_t{256} << 10);
  std::minstd_rand random{1};
  Clock::time_point last_answer = Clock::now();
  bool stopping = false;

  Clock::duration pause() {
    return std::chrono::milliseconds{
        std::uniform_int_distribution<std::int64_t>{0, plan.longest_pause.count()}(random)};
  }
};

class Client {
 public:
  explicit Client(Crowd& crowd)
      : crowd_{crowd}, timer_{crowd.loop, [this] { on_timer(); }}, reader_{crowd.plan.body} {
    connect();
  }

  bool ended() const { return !socket_.valid() && crowd_.stopping; }

  void stop() {
    if (outstanding_ == 0) leave();
  }

  void give_up() {
    crowd_.tally.lost += outstanding_;
    leave();
  }

 private:
  void connect() {
    reader_ = AnswerReader{crowd_.plan.body};
    const net::Address& server = crowd_.plan.server;
    socket_.reset(::socket(server.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket_.valid()) throw_errno("socket");
    if (::connect(socket_.fd(), server.data(), server.size()) < 0 && errno != EINPROGRESS) {
      return refused();
    }
    watch_.emplace(crowd_.loop, socket_.fd(), Interest::write,
                   [this](const Readiness&) { on_connected(); });
  }

  void on_connected() {
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(socket_.fd(), SOL_SOCKET, SO_ERROR, &error, &size) < 0)
      throw_errno("getsockopt");
    if (error != 0) return refused();
    watch_.emplace(crowd_.loop, socket_.fd(), Interest::read,
                   [this](const Readiness&) { on_readable(); });
    pause();
  }

  void refused() {
    ++crowd_.tally.refused;
    leave();
    if (!crowd_.stopping) timer_.set(Deadline::in(kPauseAfterRefusal));
  }

  void pause() {
    if (crowd_.stopping) return leave();
    if (crowd_.plan.longest_pause > 0ms) return timer_.set(Deadline::in(crowd_.pause()));
    ask();
  }

  void on_timer() {
    if (socket_.valid()) return ask();
    connect();
  }

  void ask() {
    outstanding_ = crowd_.plan.in_flight;
    asked_ = Clock::now();
    const std::string_view requests = crowd_.requests;
    const ssize_t sent = ::send(socket_.fd(), requests.data(), requests.size(), MSG_NOSIGNAL);
    if (sent < 0) return end();
    if (sent != std::ssize(requests)) throw Error{"send", "requests", "more than a socket takes"};
  }

  void on_readable() {
    const ssize_t n = ::recv(socket_.fd(), crowd_.buffer.data(), crowd_.buffer.size(), 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return end();
    std::string_view bytes{crowd_.buffer.data(), static_cast<std::size_t>(n)};
    while (!bytes.empty()) {
      if (outstanding_ == 0) {
        ++crowd_.tally.wrong;
        return end();
      }
      const auto answer = reader_.read(bytes);
      if (!answer) continue;
      take(*answer);
      if (answer->last) {
        ++crowd_.tally.told_to_close;
        return start_again();
      }
    }
    if (outstanding_ == 0) pause();
  }

  void take(const AnswerReader::Answer& answer) {
    --outstanding_;
    ++(answer.right ? crowd_.tally.answered : crowd_.tally.wrong);
    raise_to(crowd_.tally.longest_wait_ms, ms_since(asked_));
    raise_to(crowd_.tally.longest_silence_ms, ms_since(crowd_.last_answer));
    crowd_.last_answer = Clock::now();
  }

  void end() {
    if (outstanding_ == 0) ++crowd_.tally.closed_idle;
    start_again();
  }

  void start_again() {
    crowd_.tally.lost += outstanding_;
    leave();
    if (!crowd_.stopping) connect();
  }

  void leave() {
    outstanding_ = 0;
    timer_.cancel();
    watch_.reset();
    socket_.reset();
  }

  Crowd& crowd_;
  UniqueFd socket_;
  std::optional<Loop::Watch> watch_;
  Loop::Timer timer_;
  AnswerReader reader_;
  unsigned outstanding_ = 0;
  Clock::time_point asked_{};
};

std::string requests_of(const ClientPlan& plan) {
  std::string requests;
  for (unsigned i = 0; i < plan.in_flight; ++i) {
    requests += "GET " + plan.target + " HTTP/1.1\r\nHost: test\r\n\r\n";
  }
  return requests;
}

void run(const ClientPlan& plan, ClientTally& tally, const Gate& stop) {
  Crowd crowd{.plan = plan, .tally = tally, .requests = requests_of(plan)};
  std::vector<std::unique_ptr<Client>> clients;
  clients.reserve(plan.connections);
  for (unsigned i = 0; i < plan.connections; ++i)
    clients.push_back(std::make_unique<Client>(crowd));
  {
    const Loop::Watch told{crowd.loop, stop.fd(), Interest::read,
                           [&](const Readiness&) { crowd.stopping = true; }};
    while (!crowd.stopping) crowd.loop.run_once(Deadline::never());
  }
  raise_to(tally.longest_silence_ms, ms_since(crowd.last_answer));
  for (const auto& client : clients) client->stop();
  const Deadline patience = Deadline::in(kPatience);
  const auto ended = [](const auto& client) { return client->ended(); };
  while (!std::ranges::all_of(clients, ended) && !patience.expired()) crowd.loop.run_once(patience);
  for (const auto& client : clients) client->give_up();
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const ClientCounts& counts) {
  return out << counts.answered << " answered, " << counts.wrong << " wrong, " << counts.lost
             << " lost, " << counts.closed_idle << " closed while idle, " << counts.told_to_close
             << " told to close, " << counts.refused << " refused, longest silence "
             << counts.longest_silence_ms << " ms, longest wait " << counts.longest_wait_ms
             << " ms";
}

KeepAliveClients::KeepAliveClients(ClientPlan plan)
    : process_{[&, this] {
        if (::prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) throw_errno("prctl", "PR_SET_PDEATHSIG");
        run(plan, *tally_, stop_);
      }} {}

void KeepAliveClients::await_answers(std::uint64_t more) {
  const std::uint64_t goal = answered() + more;
  EXPECT_TRUE(eventually([&] { return answered() >= goal; }))
      << answered() << " answers, not " << goal;
}

ClientCounts KeepAliveClients::counts() const noexcept {
  return {.answered = tally_->answered,
          .wrong = tally_->wrong,
          .lost = tally_->lost,
          .closed_idle = tally_->closed_idle,
          .told_to_close = tally_->told_to_close,
          .refused = tally_->refused,
          .longest_silence_ms = tally_->longest_silence_ms,
          .longest_wait_ms = tally_->longest_wait_ms};
}

ClientCounts KeepAliveClients::stop() {
  stop_.open();
  EXPECT_EQ(process_.wait(), exited(0));
  return counts();
}

}  // namespace procpool::test
