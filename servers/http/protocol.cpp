#include "servers/http/protocol.hpp"

#include <poll.h>

#include <ctime>
#include <exception>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/http/body_reader.hpp"
#include "servers/net/address.hpp"

namespace procpool::http {
namespace {

using namespace std::chrono_literals;
using net::IoResult;
using net::Stream;

constexpr std::string_view kAllow = "Allow: GET, HEAD, OPTIONS\r\n";

// Answers to pipelined requests are gathered up to this size before they are sent.
constexpr std::size_t kOutputSize = 65536;

// How long the rest of what a refused client sends is read and thrown away: closing over unread
// data resets the connection, and the reset can destroy the answer before it is read (RFC 9112
// §9.6).
constexpr auto kLinger = 2s;

std::string name_of_peer(const Stream& stream) {
  try {
    return net::Address::peer_of(stream.fd()).host();
  } catch (const Error&) {
    return {};
  }
}

bool has_input(const Stream& stream) {
  return wait_ready(stream.fd(), POLLIN, Deadline::now()) != 0;
}

}  // namespace

Protocol::Protocol(models::Worker& worker, Site site, const std::string& access_log, Limits limits)
    : worker_{worker},
      site_{std::move(site)},
      log_{access_log, [this](std::string_view sentence) { worker_.log().error("{}", sentence); }},
      limits_{limits},
      clock_{std::time(nullptr)},
      workspaces_{limits.head} {
  worker_.at_turn_end([this] {
    worker_.slot().busy.store(workspaces_.lent() > 0, std::memory_order_relaxed);
    log_.flush();
  });
  worker_.at_reopen([this] { log_.reopen(); });
}

net::Task<> Protocol::serve(Stream stream) {
  const std::string client = name_of_peer(stream);
  for (;;) {
    const IoResult woken = co_await stream.readable(after(limits_.idle_timeout), worker_.drain());
    if (woken.interrupted()) {
      // What has arrived already is answered by a worker that nobody will follow.
      if (!worker_.must_close()) co_return worker_.hand_over(std::move(stream));
      if (!has_input(stream)) co_return;
    } else if (woken.failed()) {
      co_return;
    }

    const Workspaces::Lease work = workspaces_.lend();
    work->request_by = after(limits_.header_timeout);
    Step step = Step::read;
    for (;;) {
      if (!work->output.empty()) {
        const auto more = step == Step::file ? Stream::More::yes : Stream::More::no;
        if ((co_await stream.write(work->output, after(limits_.send_timeout), more)).failed())
          co_return;
        work->output.clear();
      }
      if (step == Step::idle) break;
      switch (step) {
        case Step::read: {
          const IoResult got = co_await stream.read_some(work->room(), work->request_by);
          work->append(got.bytes);
          if (got.bytes > 0) {
            step = answer_pending(*work, client);
          } else if (got.timed_out()) {
            step = refuse(*work, Status::request_timeout, client);
          } else {
            co_return;
          }
          break;
        }
        case Step::body:
          step = co_await read_body(stream, *work, client);
          break;
        case Step::more:
          step = answer_pending(*work, client);
          break;
        case Step::file: {
          const PagePtr page = std::exchange(work->file_page, nullptr);
          const IoResult sent = co_await send_pieces(stream, *page);
          count(work->request, page->status, sent.bytes, client);
          if (sent.failed()) co_return;
          step = after_answer(*work);
          break;
        }
        case Step::close:
          // Unless the client wanted the end, more may be on its way.
          if (work->distrusted || work->request.keep_alive || !work->pending().empty())
            co_await linger(stream, *work);
          co_return;
        case Step::idle:
          break;
      }
    }
  }
}

Protocol::Step Protocol::answer_pending(Workspace& work, std::string_view client) {
  Step step = Step::more;
  while (step == Step::more && work.output.size() < kOutputSize) {
    if (work.pending().empty()) return Step::idle;
    const HeadParser::Result head = work.parser.parse(work.pending(), work.request);
    if (head.state == HeadParser::State::incomplete) return Step::read;
    if (head.state == HeadParser::State::bad) return refuse(work, head.status, client);
    work.consume(head.size);
    work.request_by = after(limits_.header_timeout);
    if (work.request.body_framing != BodyFraming::none) return Step::body;
    step = answer(work, client);
  }
  return step;
}

Protocol::Step Protocol::answer(Workspace& work, std::string_view client) {
  clock_.update(std::time(nullptr));
  worker_.slot().begin(work.request.line, client);
  const PagePtr page = page_for(work.request);
  const bool last = worker_.must_close() && work.pending().empty();
  const bool keep = work.request.keep_alive && !work.distrusted && !last;
  work.persistence = keep ? Persistence::keep : Persistence::close;
  append_answer(*page, work.request, work.persistence, clock_, work.output);
  const bool has_body = work.request.method != Method::head;
  if (page->file && has_body) {
    work.file_page = page;
    return Step::file;
  }
  count(work.request, page->status, has_body ? page->size : 0, client);
  return after_answer(work);
}

Protocol::Step Protocol::refuse(Workspace& work, Status status, std::string_view client) {
  clock_.update(std::time(nullptr));
  work.distrusted = true;
  const PagePtr page = make_error_page(status);
  append_answer(*page, work.request, Persistence::close, clock_, work.output);
  count(work.request, status, page->size, client);
  return Step::close;
}

Protocol::Step Protocol::after_answer(const Workspace& work) const noexcept {
  return work.persistence == Persistence::keep ? Step::more : Step::close;
}

PagePtr Protocol::page_for(const Request& request) const {
  switch (request.method) {
    case Method::get:
    case Method::head:
      break;
    case Method::options:
      return make_page(Status::no_content, kAllow, {});
    default:
      return make_error_page(Status::method_not_allowed, kAllow);
  }
  try {
    return select(site_(request), request, clock_.now());
  } catch (const std::exception& error) {
    worker_.log().error("{}: {}", request.target, error.what());
    return make_error_page(Status::internal_server_error);
  }
}

// The body is read to its end before the answer, though nothing here uses it: only so is it known
// that the request was well-formed, and where the next one begins.
net::Task<Protocol::Step> Protocol::read_body(Stream& stream, Workspace& work,
                                              std::string_view client) {
  BodyReader body{work.request, limits_.max_body};
  BodyReader::Step step = body.read({});
  if (step.state == BodyReader::State::more && work.request.expect_continue) {
    // The final answer comes instead of 100, and whether the client still sends the body is unknown
    // (RFC 9110 §10.1.1).
    work.distrusted = true;
    co_return answer(work, client);
  }
  const std::size_t behind_head = work.begin;
  while (step.state == BodyReader::State::more) {
    if (work.pending().empty()) {
      const IoResult got =
          co_await stream.read_some(work.room_behind(behind_head), work.request_by);
      if (got.timed_out()) co_return refuse(work, Status::request_timeout, client);
      if (got.bytes == 0) co_return refuse(work, Status::bad_request, client);
      work.append(got.bytes);
    }
    step = body.read(work.pending());
    work.consume(step.consumed);
  }
  if (step.state == BodyReader::State::bad) co_return refuse(work, step.status, client);
  co_return answer(work, client);
}

net::Task<IoResult> Protocol::send_pieces(Stream& stream, const Page& page) {
  IoResult all;
  for (const FilePiece& piece : page.pieces) {
    if (!piece.before.empty()) {
      const auto more = piece.length > 0 ? Stream::More::yes : Stream::More::no;
      const IoResult sent = co_await stream.write(piece.before, after(limits_.send_timeout), more);
      all = {.bytes = all.bytes + sent.bytes, .error = sent.error};
      if (all.failed()) co_return all;
    }
    const IoResult sent = co_await stream.send_file(page.file->fd(), piece.offset, piece.length,
                                                    limits_.send_timeout);
    all = {.bytes = all.bytes + sent.bytes, .error = sent.error};
    if (all.failed()) co_return all;
  }
  co_return all;
}

net::Task<> Protocol::linger(Stream& stream, Workspace& work) {
  stream.shutdown_write();
  const Deadline deadline = after(kLinger);
  for (;;) {
    const IoResult got = co_await stream.read_some(work.room_behind(0), deadline);
    if (got.failed() || got.bytes == 0) co_return;
  }
}

void Protocol::count(const Request& request, Status status, std::uint64_t bytes,
                     std::string_view client) {
  worker_.slot().count_request(bytes);
  if (!log_.enabled()) return;
  log_.add({.client = client,
            .time = clock_.log_time(),
            .request_line = request.line,
            .status = status,
            .bytes = bytes,
            .referer = request.field("referer").value_or(""),
            .user_agent = request.field("user-agent").value_or("")});
}

// From the time of this turn of the loop: a clock that is read once for all connections.
Deadline Protocol::after(std::chrono::milliseconds duration) const noexcept {
  return Deadline::after(worker_.loop().now(), duration);
}

}  // namespace procpool::http
