#include "servers/ftp/data_link.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <sstream>
#include <system_error>
#include <utility>
#include <variant>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/ftp/detail/random_number.hpp"
#include "servers/net/wait.hpp"

namespace procpool::ftp {
namespace {

constexpr int kBacklog = 4;  // one is for the client, and nobody else should come

net::Address with_port(const net::Address& host, std::uint16_t port) {
  const std::string text = host.host();
  const bool v6 = text.find(':') != text.npos;
  return net::Address::parse((v6 ? "[" + text + "]" : text) + ":" + std::to_string(port));
}

bool comes_from(const UniqueFd& connection, const std::string& client) {
  try {
    return net::Address::peer_of(connection.fd()).host() == client;
  } catch (const Error&) {  // he has left
    return false;
  }
}

std::optional<unsigned> number(std::string_view text, unsigned most) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value > most)
    return std::nullopt;
  return value;
}

std::optional<net::Address> address_of(const std::string& host, unsigned port) {
  try {
    return net::Address::parse(host + ":" + std::to_string(port));
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

PortRange kernel_ports() {
  constexpr PortRange kUsual{32768, 60999};
  try {
    std::istringstream text{read_file("/proc/sys/net/ipv4/ip_local_port_range")};
    PortRange range;
    text >> range.first >> range.last;
    return text && range.first >= 1024 && range.first <= range.last ? range : kUsual;
  } catch (const Error&) {  // there is no /proc here
    return kUsual;
  }
}

// Asked for any port, the kernel looks for one that no connection has, not even one that has ended
// a minute ago (TIME_WAIT): after some thousand transfers that takes milliseconds.
DataLink DataLink::passive(const net::Address& local, PortRange ports) {
  const unsigned number_of_ports = ports.last - ports.first + 1U;
  const unsigned start = detail::random_number() % number_of_ports;
  for (unsigned i = 0; i < number_of_ports; ++i) {
    const auto port = static_cast<std::uint16_t>(ports.first + (start + i) % number_of_ports);
    try {
      return DataLink{net::Listener::open(with_port(local, port), kBacklog)};
    } catch (const Error& error) {
      if (error.code() != std::errc::address_in_use) throw;
    }
  }
  throw Error{"listen", local.host(), "no port of passive-ports is free"};
}

net::Task<UniqueFd> DataLink::connect(Loop& loop, const std::string& client, Deadline deadline) {
  if (is_passive()) co_return co_await accept(loop, client, deadline);
  co_return co_await reach(loop, deadline);
}

net::Task<UniqueFd> DataLink::accept(Loop& loop, const std::string& client, Deadline deadline) {
  for (;;) {
    auto accepted = listener_->try_accept();
    if (auto* connection = std::get_if<UniqueFd>(&accepted)) {
      if (comes_from(*connection, client)) co_return std::move(*connection);
      continue;
    }
    if (std::get<int>(accepted) != EAGAIN) co_return UniqueFd{};
    if (!co_await net::ready(loop, listener_->fd(), Interest::read, deadline)) co_return UniqueFd{};
  }
}

net::Task<UniqueFd> DataLink::reach(Loop& loop, Deadline deadline) {
  UniqueFd socket{::socket(target_->family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!socket.valid()) co_return UniqueFd{};
  if (::connect(socket.fd(), target_->data(), target_->size()) == 0) co_return socket;
  if (errno != EINPROGRESS) co_return UniqueFd{};
  if (!co_await net::ready(loop, socket.fd(), Interest::write, deadline)) co_return UniqueFd{};
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
  co_return error == 0 ? std::move(socket) : UniqueFd{};
}

std::optional<net::Address> parse_port(std::string_view argument) {
  std::array<unsigned, 6> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto comma = i + 1 < bytes.size() ? argument.find(',') : argument.size();
    if (comma == argument.npos) return std::nullopt;
    const auto value = number(argument.substr(0, comma), 255);
    if (!value) return std::nullopt;
    bytes.at(i) = *value;
    argument.remove_prefix(std::min(comma + 1, argument.size()));
  }
  std::string host = std::to_string(bytes[0]);
  for (std::size_t i = 1; i < 4; ++i) host += "." + std::to_string(bytes.at(i));
  return address_of(host, bytes[4] * 256 + bytes[5]);
}

std::optional<ExtendedPort> parse_extended_port(std::string_view argument) {
  if (argument.size() < 4) return std::nullopt;
  const char delimiter = argument.front();
  if (delimiter < 33 || delimiter > 126 || argument.back() != delimiter) return std::nullopt;
  argument.remove_prefix(1);
  argument.remove_suffix(1);
  const auto first = argument.find(delimiter);
  const auto last = argument.rfind(delimiter);
  if (first == argument.npos || first == last) return std::nullopt;
  const auto protocol = number(argument.substr(0, first), 255);
  const auto port = number(argument.substr(last + 1), 65535);
  if (!protocol || !port) return std::nullopt;
  ExtendedPort extended{.protocol = static_cast<int>(*protocol), .address = std::nullopt};
  if (*protocol != 1 && *protocol != 2) return extended;
  const std::string host{argument.substr(first + 1, last - first - 1)};
  if ((host.find(':') != host.npos) != (*protocol == 2)) return std::nullopt;
  extended.address = address_of(*protocol == 2 ? "[" + host + "]" : host, *port);
  if (!extended.address) return std::nullopt;
  return extended;
}

}  // namespace procpool::ftp
