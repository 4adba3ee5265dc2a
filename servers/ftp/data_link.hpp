// The way to a data connection: what PASV, EPSV, PORT and EPRT agree upon.
//
//   DataLink link = DataLink::passive(control.local(), settings.passive_ports);
//   say("229 ... (|||" + std::to_string(link.port()) + "|)");
//   auto data = co_await link.connect(loop, client, Deadline::in(60s));
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ipc/base/deadline.hpp"
#include "ipc/base/loop.hpp"
#include "ipc/base/unique_fd.hpp"
#include "servers/net/address.hpp"
#include "servers/net/listener.hpp"
#include "servers/net/task.hpp"

namespace procpool::ftp {

// The ports that clients are told to connect to.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
};

// Those from which the kernel chooses by itself: ip_local_port_range, ip(7).
PortRange kernel_ports();

// Owns the listening socket of a passive one. For one data connection. Move only, for the loop's
// thread.
class DataLink {
 public:
  // Listens at the address of `local`, on a port that cannot be foretold. Throws Error: none is
  // free.
  static DataLink passive(const net::Address& local, PortRange ports);

  // Will connect to this address.
  static DataLink active(const net::Address& target) { return DataLink{target}; }

  bool is_passive() const noexcept { return listener_.has_value(); }
  std::uint16_t port() const noexcept { return listener_->address().port(); }

  // Accepts, or connects. Who comes from elsewhere than `client` is turned away, and the wait goes
  // on, RFC 2577 §4. Not valid: nobody came before the deadline, or he cannot be reached.
  net::Task<UniqueFd> connect(Loop& loop, const std::string& client, Deadline deadline);

 private:
  explicit DataLink(net::Listener listener) : listener_{std::move(listener)} {}
  explicit DataLink(const net::Address& target) : target_{target} {}

  net::Task<UniqueFd> accept(Loop& loop, const std::string& client, Deadline deadline);
  net::Task<UniqueFd> reach(Loop& loop, Deadline deadline);

  std::optional<net::Listener> listener_;
  std::optional<net::Address> target_;
};

// The arguments of PORT (h1,h2,h3,h4,p1,p2) and EPRT (|1|132.235.1.2|6275|, RFC 2428 §2). Nullopt:
// malformed.
std::optional<net::Address> parse_port(std::string_view argument);
struct ExtendedPort {
  int protocol;                         // 1: IPv4, 2: IPv6
  std::optional<net::Address> address;  // nullopt: another protocol
};
std::optional<ExtendedPort> parse_extended_port(std::string_view argument);

}  // namespace procpool::ftp
