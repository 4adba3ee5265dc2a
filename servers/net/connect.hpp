// Connecting, with a deadline.
//
//   ConnectResult made = connect(address, Deadline::in(5s));                  // blocks
//   ConnectResult made = co_await connect(loop, address, Deadline::in(5s));   // does not
//   if (made.failed()) complain(error_text(made.error));
//   Stream stream{loop, std::move(made.socket)};
#pragma once

#include <cerrno>

#include "ipc/base/deadline.hpp"
#include "ipc/base/loop.hpp"
#include "ipc/base/unique_fd.hpp"
#include "servers/net/address.hpp"
#include "servers/net/task.hpp"

namespace procpool::net {

// Nobody there is normal work, hence a value: ECONNREFUSED; ENOENT (no such Unix socket);
// ETIMEDOUT: the deadline came first; EAGAIN: the queue of a Unix socket is full. connect(2).
struct ConnectResult {
  UniqueFd socket{};  // non-blocking, close-on-exec; not valid after a failure
  int error = 0;

  bool failed() const noexcept { return error != 0; }
};

// A stream socket. Throws Error only for want of descriptors or memory.
ConnectResult connect(const Address& address, Deadline deadline);
Task<ConnectResult> connect(Loop& loop, Address address, Deadline deadline);

}  // namespace procpool::net
