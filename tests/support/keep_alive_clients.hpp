// HTTP clients that never let go, and an account of what they went through.
//
//   KeepAliveClients clients{{.server = address, .body = page, .connections = 32}};
//   ... kill -HUP, again and again ...
//   const ClientCounts counts = clients.stop();
//   EXPECT_EQ(counts.lost, 0u) << counts;
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <string>

#include "ipc/shared.hpp"
#include "servers/net/address.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"

namespace procpool::test {

struct ClientPlan {
  net::Address server;
  std::string target = "/";
  std::string body;                            // which every answer must have
  unsigned connections = 32;                   // each is made again when it ends
  unsigned in_flight = 1;                      // more than one: sent together, pipelined
  std::chrono::milliseconds longest_pause{0};  // before each request: 0 to this, at random
};

struct ClientCounts {
  std::uint64_t answered = 0;            // completely, with status 200 and the right body
  std::uint64_t wrong = 0;               // answers with another status or body
  std::uint64_t lost = 0;                // sent, but the connection ended before the whole answer
  std::uint64_t closed_idle = 0;         // connections that ended while nothing was asked
  std::uint64_t told_to_close = 0;       // answers with "Connection: close"
  std::uint64_t refused = 0;             // attempts to connect that failed
  std::uint64_t longest_silence_ms = 0;  // in which no client at all was answered
  std::uint64_t longest_wait_ms = 0;     // of one client for one answer
};
std::ostream& operator<<(std::ostream& out, const ClientCounts& counts);

// The same, while it is being counted.
struct ClientTally {
  std::atomic<std::uint64_t> answered{0};
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> lost{0};
  std::atomic<std::uint64_t> closed_idle{0};
  std::atomic<std::uint64_t> told_to_close{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> longest_silence_ms{0};
  std::atomic<std::uint64_t> longest_wait_ms{0};
};

// A process with `connections` keep-alive clients, each asking again as soon as it was answered and
// has paused. A request that meets a connection which the server has closed is lost: nothing is
// sent twice. Owned by the process that made it; the clients die with it.
class KeepAliveClients {
 public:
  explicit KeepAliveClients(ClientPlan plan);

  std::uint64_t answered() const noexcept { return tally_->answered; }  // so far
  ClientCounts counts() const noexcept;                                 // so far
  void await_answers(std::uint64_t more);  // until so many more have come

  // Lets the clients wait for the answers that are due (one that does not come is lost), and ends
  // them.
  ClientCounts stop();

 private:
  ipc::Shared<ClientTally> tally_;
  Gate stop_;
  Forked process_;
};

}  // namespace procpool::test
