// The three forms in which a protocol is written. Each model says by its type which it takes.
//
//   net::Task<> echo(net::Stream stream) { ... }                              // StreamHandler
//   ByteHandler echo() {                                                      // MakeByteHandler
//     return [](std::string_view in, std::string& out) { out += in; return Then::go_on; };
//   }
//   std::optional<std::string> echo(std::string_view in, const net::Address&) {   //
//   DatagramHandler
//     return std::string{in};
//   }
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "servers/net/address.hpp"
#include "servers/net/stream.hpp"
#include "servers/net/task.hpp"

namespace procpool::models {

// Serves one connection from its accept to its end, as a coroutine that reads like blocking code.
// It keeps its Stream until it ends. Its deadlines are those of the stream's operations. When the
// server stops, the stream comes to its end as if the client had closed: so what has arrived is
// still answered. An exception that leaves it costs its connection, and is logged with the client's
// address.
//
// The function object lives as long as the server; a coroutine that is a lambda finds its captures
// there. Models with threads call it in several of them at once.
using StreamHandler = std::function<net::Task<>(net::Stream)>;

enum class Then {
  go_on,
  close,  // when all is sent; what still arrives is not looked at
};

// One connection's side of a protocol: is given what has arrived, in pieces as they come, and
// appends to `out` what is to be sent. An empty piece is the end of what the client sends, and the
// last one. It must not block. While something is unsent it is given nothing: so a client that does
// not read costs no more than the answer to one piece (64 KiB). Exceptions: as above.
using ByteHandler = std::function<Then(std::string_view in, std::string& out)>;

// Called for each connection: what it returns is that one's own state.
using MakeByteHandler = std::function<ByteHandler()>;

// Answers a datagram; nullopt: not at all. Models with threads call it in several at once.
using DatagramHandler =
    std::function<std::optional<std::string>(std::string_view in, const net::Address& from)>;

}  // namespace procpool::models
