// The control connection: commands go out, replies come in.
//
//   Control control{"host", "21", waiting, trace};
//   Reply greeting = control.receive();
//   Reply reply = control.ask("PWD");
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "ipc/base/unique_fd.hpp"
#include "servers/net/address.hpp"
#include "tools/ftp/reply.hpp"
#include "tools/ftp/waiting.hpp"

namespace procpool::ftp_client {

// Sees each line of the dialogue, fit for a terminal and without passwords: "> USER ada".
using Trace = std::function<void(const std::string& line)>;

// A connection to an address; blocks until it stands. Throws Failure (no_connection, timed_out),
// Interrupted.
UniqueFd connect_to(const net::Address& address, const Waiting& waiting);

// Owns the socket. For one thread. What goes wrong with the connection itself is a Failure
// (no_connection, timed_out, protocol), after which nothing can be said any more.
class Control {
 public:
  // Tries each address of the host in turn. Looking up its name takes as long as the resolver
  // does, and is not interrupted.
  Control(const std::string& host, const std::string& port, const Waiting& waiting, Trace trace);

  // Throws Failure (usage), and sends nothing, if the line would be two.
  void send(std::string_view line);

  // The next reply, within the time-out as a whole. One of 421 is a Failure (no_connection).
  Reply receive();
  Reply receive(Deadline deadline);

  Reply ask(std::string_view line) {
    send(line);
    return receive();
  }

  // False: the server has hung up, or said something unasked: that it will, most likely.
  bool is_quiet() const;

  int fd() const noexcept { return socket_.fd(); }
  const std::string& host() const noexcept { return host_; }
  const Waiting& waiting() const noexcept { return waiting_; }
  void note(const std::string& line) const {
    if (trace_) trace_(line);
  }

 private:
  std::string host_;
  Waiting waiting_;
  Trace trace_;
  UniqueFd socket_;
  ReplyReader reader_;
};

}  // namespace procpool::ftp_client
