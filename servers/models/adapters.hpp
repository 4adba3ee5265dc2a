// One protocol, under every model.
//
//   service.make_handler = for_workers(echo);             // a StreamHandler, for Prefork
//   sessions.handler = for_sessions(echo);                // for ForkPerClient
//   Coroutines{listener}.run(over_stream(shout, 60s));    // a MakeByteHandler, where one of
//   streams
//                                                         // is wanted
#pragma once

#include <chrono>

#include "servers/models/protocol.hpp"
#include "servers/models/session.hpp"
#include "servers/models/worker.hpp"

namespace procpool::models {

// A StreamHandler for a model with processes: its streams come to their end when its process is to
// end, be it for a reload; an exception is logged with the client's address, and costs the
// connection.
MakeHandler for_workers(StreamHandler handler);
SessionHandler for_sessions(StreamHandler handler);

// A call-back on bytes, driven by a coroutine. A connection on which nothing moves for so long is
// closed.
StreamHandler over_stream(MakeByteHandler make_handler, std::chrono::milliseconds idle_timeout);

}  // namespace procpool::models
