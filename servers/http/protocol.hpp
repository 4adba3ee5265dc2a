// HTTP/1.1 and 1.0 over the connections of one worker.
//
//   models::Handler make_handler(models::Worker& worker) {
//     auto http = std::make_shared<Protocol>(worker, site, AccessLogOptions{}, Limits{});
//     return [http](net::Stream stream) { return http->serve(std::move(stream)); };
//   }
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string_view>

#include "ipc/base/loop.hpp"
#include "servers/http/access_log.hpp"
#include "servers/http/clock_text.hpp"
#include "servers/http/error_pages.hpp"
#include "servers/http/head_parser.hpp"
#include "servers/http/page.hpp"
#include "servers/http/responder.hpp"
#include "servers/http/site.hpp"
#include "servers/http/workspace.hpp"
#include "servers/models/worker.hpp"
#include "servers/net/stream.hpp"
#include "servers/net/task.hpp"

namespace procpool::http {

// For how long and how much a client may keep a connection busy. A slow one costs its slot for a
// bounded time.
struct Limits {
  HeadLimits head{};
  std::uint64_t max_body = std::uint64_t{1} << 20;  // bytes
  std::uint64_t least_rate = 500;  // bytes of an upload in a second: they extend header_timeout
  std::chrono::milliseconds header_timeout{
      10'000};  // from the first byte of a request to the end of its head, and again of its body
  std::chrono::milliseconds idle_timeout{60'000};  // before a request begins
  std::chrono::milliseconds send_timeout{
      30'000};  // for an answer, or without progress while a file is sent
};

// Reads requests, asks the site, sends the answers in order. Pipelined requests that arrive
// together are answered together. A small request costs one recv(2) and one send(2) and allocates
// nothing. On any doubt about where a request ends: one answer, and the connection is closed. Of
// one worker and its thread; must outlive its connections.
//
// A request is counted, and has its line in the access log, when its answer is sent, or its client
// has left: with kClientClosedRequest and no bytes if the head of the answer was not yet out, else
// with the status that was sent and the bytes of the body that were.
class Protocol {
 public:
  // The pages are for what no site answers: a request that is broken or too large, or one by which
  // a site failed. Throws Error if the access log cannot be opened.
  Protocol(models::Worker& worker, Site site, AccessLogOptions access_log, Limits limits,
           ErrorPages error_pages = {});
  Protocol(const Protocol&) = delete;
  Protocol& operator=(const Protocol&) = delete;

  net::Task<> serve(net::Stream stream);

 private:
  enum class Step {
    read,     // the next request is not all there
    body,     // its body comes first
    respond,  // all of it is there, its answer comes later
    more,     // there may be another one in the buffer
    rest,     // a body that is not in memory follows the output
    idle,     // everything that came is answered
    close,    // the last answer
    gone,     // the client has left
  };

  Step answer_pending(Workspace& work, std::string_view client);
  Step answer(Workspace& work, std::string_view client, const PagePtr& page);
  Step refuse(Workspace& work, Status status, std::string_view client);
  Step after_answer(const Workspace& work) const noexcept;
  Reception receive(const Request& request);
  PagePtr page_of_failure(const Request& request, const std::exception& error);
  net::Task<bool> converse(net::Stream& stream, std::string_view client);  // false: it has ended
  net::Task<Step> read_body(net::Stream& stream, Workspace& work, std::string_view client);
  net::Task<Step> respond(net::Stream& stream, Workspace& work, std::string_view client);
  net::Task<PagePtr> await_page(net::Stream& stream, Workspace& work, std::string_view client);
  net::Task<net::IoResult> send_pieces(net::Stream& stream, const Page& page);
  net::Task<net::IoResult> send_source(net::Stream& stream, const Page& page,
                                       const Request& request);
  net::Task<> linger(net::Stream& stream, Workspace& work);
  void note(Workspace& work, Status status, std::uint64_t bytes, std::string_view client);
  void cut(Workspace& work, std::size_t sent);
  void finish(Workspace& work, std::size_t count);

  std::chrono::milliseconds time_for(std::uint64_t bytes) const noexcept;  // of an upload
  Deadline after(std::chrono::milliseconds duration) const noexcept;

  models::Worker& worker_;
  Site site_;
  AccessLog log_;
  Limits limits_;
  ErrorPages error_pages_;
  Loop::Timer log_timer_;
  ClockText clock_;
  pid_t pid_;  // of the worker
  Workspaces workspaces_;
};

}  // namespace procpool::http
