#include "tools/ftp/data_channel.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>
#include <utility>

#include "ipc/base/error.hpp"
#include "servers/net/listener.hpp"
#include "tools/ftp/failure.hpp"
#include "tools/ftp/names.hpp"

namespace procpool::ftp_client {
namespace {

bool is_v6(const std::string& host) {
  return host.find(':') != host.npos;
}

net::Address at_port(const std::string& host, std::uint16_t port) {
  return net::Address::parse((is_v6(host) ? "[" + host + "]" : host) + ":" + std::to_string(port));
}

std::string peer_host(const Control& control) {
  return net::Address::peer_of(control.fd()).host();
}

// The server never says where to: it is there, or nowhere.
[[noreturn]] void throw_nonsense(const Reply& reply) {
  throw Failure{ExitCode::protocol, "open data connection", printable(reply.last()),
                "it names no port"};
}

// EPRT, RFC 2428 §2, where there is no other way to say an address.
std::string port_command(const net::Address& address) {
  if (is_v6(address.host()))
    return "EPRT |2|" + address.host() + "|" + std::to_string(address.port()) + "|";
  std::string numbers = address.host();
  std::ranges::replace(numbers, '.', ',');
  return "PORT " + numbers + "," + std::to_string(address.port() / 256) + "," +
         std::to_string(address.port() % 256);
}

}  // namespace

UniqueFd DataChannel::extended_passive(Control& control, DataAgreement& agreement) {
  const Reply reply = control.ask("EPSV");
  if (reply.kind() != 2) {
    agreement.epsv = false;
    return {};
  }
  const auto port = parse_epsv(reply.last());
  if (!port) throw_nonsense(reply);
  try {
    return connect_to(at_port(peer_host(control), *port), control.waiting());
  } catch (const Interrupted&) {
    throw;
  } catch (const Failure&) {
    if (!agreement.pasv) throw;
    agreement.epsv = false;  // a firewall that knows PASV only
    return {};
  }
}

UniqueFd DataChannel::plain_passive(Control& control, DataAgreement& agreement) {
  const Reply reply = control.ask("PASV");
  if (reply.kind() != 2) {
    agreement.pasv = false;
    return {};
  }
  const auto named = parse_pasv(reply.last());
  if (!named) throw_nonsense(reply);
  const std::string host = peer_host(control);
  if (named->host != host) control.note("* " + named->host + " is not the server: " + host + " is");
  return connect_to(at_port(host, named->port), control.waiting());
}

UniqueFd DataChannel::passive(Control& control, DataAgreement& agreement) {
  UniqueFd socket;
  if (agreement.epsv) socket = extended_passive(control, agreement);
  if (!socket.valid() && agreement.pasv && !is_v6(peer_host(control)))
    socket = plain_passive(control, agreement);
  return socket;
}

DataChannel DataChannel::active(Control& control) {
  const std::string host = net::Address::local_of(control.fd()).host();
  auto listener = net::Listener::open(at_port(host, 0), 1);
  const Reply reply = control.ask(port_command(listener.address()));
  if (reply.kind() != 2)
    throw Refused{"open data connection", control.host(), reply.code, printable(reply.last())};
  UniqueFd socket{::fcntl(listener.fd(), F_DUPFD_CLOEXEC, 3)};
  if (!socket.valid()) throw_errno("fcntl");
  return DataChannel{std::move(socket), true};
}

DataChannel DataChannel::agree(Control& control, DataAgreement& agreement) {
  if (agreement.mode != DataMode::active) {
    UniqueFd socket = passive(control, agreement);
    if (socket.valid()) return DataChannel{std::move(socket), false};
    if (agreement.mode == DataMode::passive)
      throw Failure{ExitCode::refused, "open data connection", control.host(),
                    "the server has no passive mode"};
  }
  return active(control);
}

UniqueFd DataChannel::connection(const Control& control) {
  if (!listens_) return std::move(socket_);
  const Deadline deadline = control.waiting().deadline();
  for (;;) {
    control.waiting().for_events(socket_.fd(), POLLIN, deadline, "await data connection",
                                 control.host());
    UniqueFd data{::accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (data.valid() && net::Address::peer_of(data.fd()).host() == peer_host(control)) return data;
  }
}

}  // namespace procpool::ftp_client
