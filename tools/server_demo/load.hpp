// Clients in number: one process, one thread, epoll. They ask in lines, and measure the answers.
//
//   LoadGenerator clients{address, Load::keep_alive, 1000};
//   const unsigned served = clients.open(Deadline::in(2s));
//   const Answers answers = clients.run(200ms);
//   answers.latency(0.99);
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "ipc/base/deadline.hpp"
#include "ipc/base/poller.hpp"
#include "ipc/base/unique_fd.hpp"
#include "servers/net/address.hpp"

namespace procpool::server_demo {

enum class Load : std::uint8_t {
  short_lived,  // each client connects, asks once, leaves, and comes again
  keep_alive,   // each client stays connected, and asks again when it has its answer
  mostly_idle,  // all stay connected; a tenth of them asks, ten at most
};

inline constexpr std::array kLoads{Load::short_lived, Load::keep_alive, Load::mostly_idle};

constexpr std::string_view name_of(Load load) noexcept {
  constexpr std::array<std::string_view, kLoads.size()> kNames{"short-lived", "keep-alive",
                                                               "mostly idle"};
  return kNames[static_cast<std::size_t>(load)];
}

// How many of the clients ask.
unsigned asking_of(Load load, unsigned connections) noexcept;

// A line that begins so is what the server works on; any other one it answers at once.
inline constexpr std::string_view kWork = "work";

// What a window of time has brought. A value.
struct Answers {
  std::uint64_t count = 0;
  unsigned clients = 0;  // that had one at least
  unsigned lost = 0;     // connections that the server ended, or refused
  std::chrono::nanoseconds time{0};
  std::vector<std::chrono::nanoseconds> latencies{};  // from connecting or asking on; sorted

  double per_second() const noexcept;
  std::optional<std::chrono::nanoseconds> latency(double quantile) const noexcept;
};

// Owns the connections. A client whose connection fails is out.
class LoadGenerator {
 public:
  using Clock = Deadline::Clock;

  LoadGenerator(const net::Address& server, Load load, unsigned connections);
  LoadGenerator(const LoadGenerator&) = delete;
  LoadGenerator& operator=(const LoadGenerator&) = delete;
  ~LoadGenerator() = default;

  // Connects; each client that stays says something and waits for its answer, so that it is served
  // from there on. Ends early when nothing moves any more. How many are served; of short-lived
  // ones, how many have begun.
  unsigned open(Deadline deadline);

  // Longer, if nobody had an answer yet.
  Answers run(Clock::duration window);

  // With those before and after the windows.
  std::uint64_t answered_so_far() const noexcept { return answered_so_far_; }

 private:
  enum class State : std::uint8_t { absent, connecting, greeting, quiet, asking, out };

  struct Client {
    UniqueFd socket{};
    Clock::time_point since{};  // it connects or asks
    State state = State::absent;
    bool asks = false;
    bool answered = false;  // in this window
  };

  bool stays() const noexcept { return load_ != Load::short_lived; }
  void begin(std::size_t index);
  void on_connected(std::size_t index);
  void say(std::size_t index, std::string_view line, State next);
  void ask(std::size_t index);
  void listen_to(std::size_t index);
  void on_answer(std::size_t index);
  void leave(std::size_t index, State next);
  bool turn(Deadline deadline);

  net::Address server_;
  Load load_;
  Poller poller_;
  std::vector<Client> clients_;
  unsigned served_ = 0;
  bool running_ = false;
  std::uint64_t answered_so_far_ = 0;
  Answers answers_;
};

}  // namespace procpool::server_demo
