// What the servers of one process have in common: their limits, how they stop, what they count.
//
//   Coroutines server{net::Listener::open(net::Address::parse("127.0.0.1:7")),
//                     {.max_connections = 100}};
//   server.run(echo);                                     // until SIGTERM, or server.stop()
//   print(server.statistics().accepted);
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <spdlog/logger.h>

#include "servers/models/statistics.hpp"

namespace procpool::models {

namespace detail {
struct ServerState;
}

// A value.
struct ServerOptions {
  // Served at once: who is one too many waits in the kernel's queue until another one leaves.
  unsigned max_connections = 1000;

  // For protocols that set no deadlines themselves (ByteHandler): a connection on which nothing
  // moves for so long is closed.
  std::chrono::milliseconds idle_timeout{60'000};

  // From stop() on; what is under way then is given up.
  std::chrono::milliseconds graceful_timeout{30'000};

  std::string refusal{};             // sent to a client for whom there is no descriptor
  Statistics* statistics = nullptr;  // lent; null: the server has its own

  // Used by one thread at a time. Null: an error log on standard error.
  std::shared_ptr<spdlog::logger> log = nullptr;
};

// The base of the models that have no processes. Call run() once, before other threads start: until
// it returns it takes TERM and QUIT as stop() (a second one, and INT, as stop_now()), and ignores
// SIGPIPE. A child of fork has no use for it.
class Server {
 public:
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // From any thread, and from signal handlers. It accepts nobody any more, and each connection
  // comes to its end when what has arrived is answered, or after graceful_timeout.
  void stop() noexcept;
  void stop_now() noexcept;  // the same without patience

  const Statistics& statistics() const noexcept;

 protected:
  explicit Server(ServerOptions options);  // throws Error (EMFILE)
  ~Server();

  detail::ServerState& state() noexcept { return *state_; }

 private:
  std::unique_ptr<detail::ServerState> state_;
};

}  // namespace procpool::models
