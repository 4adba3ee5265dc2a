// What answers a request that a page made at once cannot answer: one with a body, or one whose
// answer takes time.
//
//   Reception reception = site(request);
//   if (reception.responder) {
//     reception.responder->write(bytes);                          // of its body, piece by piece
//     page = co_await reception.responder->respond(exchange);     // when that is all there
//   }
#pragma once

#include <memory>
#include <string_view>

#include "servers/http/page.hpp"
#include "servers/http/request.hpp"
#include "servers/net/task.hpp"

namespace procpool::http {

// A request on its connection. Good until its answer is sent.
struct Exchange {
  const Request& request;
  std::string_view client;  // its address
  int socket;               // see Address::local_of, Address::peer_of
};

// For one request, of one thread. Destroyed without an answer, or while it makes one, it leaves
// nothing changed or running: the body did not come in full, or the client has left.
class Responder {
 public:
  virtual ~Responder() = default;

  virtual void write(std::string_view body) = 0;              // throws Error
  virtual net::Task<PagePtr> respond(Exchange exchange) = 0;  // once; throws what becomes a 500
};

// A page, for which a body that comes is read and dropped; or else a responder.
struct Reception {
  PagePtr page = nullptr;
  std::unique_ptr<Responder> responder = nullptr;
};

}  // namespace procpool::http
