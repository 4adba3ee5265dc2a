#include "servers/http/protocol.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <exception>
#include <optional>
#include <span>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "proc/pool_error.hpp"
#include "servers/http/body_reader.hpp"
#include "servers/net/address.hpp"

namespace procpool::http {
namespace {

using namespace std::chrono_literals;
using net::IoResult;
using net::Stream;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// Answers to pipelined requests are gathered up to this size before they are sent.
constexpr std::size_t kOutputSize = 65536;

// How long lines of the access log are gathered: a write(2) for each costs a microsecond, and the
// share of one in a hundred less than a tenth of that. What a worker that is killed has gathered is
// lost: so it is no longer than it pays.
constexpr auto kLogDelay = 100ms;

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

// Of one request, from one resource of the server to another.
constexpr int kMostRedirections = 10;

constexpr std::string_view kLastChunk = "0\r\n\r\n";

// As a GET of another target (RFC 3875 §6.2.2), which `target` is as long as the request is used.
void redirect_inside(Request& request, std::string_view target) {
  const auto question = target.find('?');
  request.target = target;
  request.path = target.substr(0, question);
  request.query = question == target.npos ? std::string_view{} : target.substr(question + 1);
  if (request.method != Method::head) request.method = Method::get;
  request.method_name = request.method == Method::head ? "HEAD" : "GET";
  request.body_framing = BodyFraming::none;
}

// RFC 9112 §7.1. An empty one would be the last.
void append_chunk(std::string_view data, std::string& out) {
  if (data.empty()) return;
  std::array<char, 16> size;
  const auto end = std::to_chars(size.data(), size.data() + size.size(), data.size(), 16).ptr;
  out.append(size.data(), end).append("\r\n").append(data).append("\r\n");
}

bool has_input(const Stream& stream) {
  return wait_ready(stream.fd(), POLLIN, Deadline::now()) != 0;
}

}  // namespace

Protocol::Protocol(models::Worker& worker, Site site, AccessLogOptions access_log, Limits limits,
                   ErrorPages error_pages)
    : worker_{worker},
      site_{std::move(site)},
      log_{std::move(access_log),
           [this](std::string_view sentence) { worker_.log().error("{}", sentence); }},
      limits_{limits},
      error_pages_{std::move(error_pages)},
      log_timer_{worker.loop(), [this] { log_.flush(); }},
      clock_{std::time(nullptr)},
      pid_{::getpid()},
      workspaces_{limits.head} {
  worker_.at_turn_end([this] {
    worker_.slot().busy.store(workspaces_.lent() > 0, std::memory_order_relaxed);
    if (log_.has_lines() && log_timer_.deadline().is_never()) log_timer_.set(after(kLogDelay));
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

    if (!co_await converse(stream, client)) co_return;
  }
}

// What it needs is given back when it ends, and a connection that idles is small.
net::Task<bool> Protocol::converse(Stream& stream, std::string_view client) {
  const Workspaces::Lease work = workspaces_.lend();
  work->request_by = after(limits_.header_timeout);
  work->last_read = worker_.loop().now();
  Step step = Step::read;
  for (;;) {
    if (!work->output.empty()) {
      const auto more =
          step == Step::rest && work->rest->file ? Stream::More::yes : Stream::More::no;
      const IoResult sent = co_await stream.write(work->output, after(limits_.send_timeout), more);
      if (sent.failed()) {
        if (step == Step::body || step == Step::respond)
          note(*work, kClientClosedRequest, 0, client);
        cut(*work, sent.bytes);
        co_return false;
      }
      finish(*work, work->answers.size() - (step == Step::rest ? 1 : 0));
      work->output.clear();
    }
    if (step == Step::idle) co_return true;
    switch (step) {
      case Step::read: {
        const IoResult got = co_await stream.read_some(work->room(), work->request_by);
        work->append(got.bytes, worker_.loop().now());
        if (got.bytes > 0) {
          step = answer_pending(*work, client);
        } else if (got.timed_out()) {
          step = refuse(*work, Status::request_timeout, client);
        } else {
          co_return false;
        }
        break;
      }
      case Step::body:
        step = co_await read_body(stream, *work, client);
        break;
      case Step::respond:
        step = co_await respond(stream, *work, client);
        break;
      case Step::more:
        step = answer_pending(*work, client);
        break;
      case Step::rest: {
        const PagePtr page = std::exchange(work->rest, nullptr);
        const IoResult sent = page->file ? co_await send_pieces(stream, *page)
                                         : co_await send_source(stream, *page, work->request);
        work->answers.back().record.bytes = sent.bytes;
        finish(*work, 1);
        if (sent.failed()) co_return false;
        step = after_answer(*work);
        break;
      }
      case Step::close:
        // Unless the client wanted the end, more may be on its way.
        if (work->distrusted || work->request.keep_alive || !work->pending().empty())
          co_await linger(stream, *work);
        co_return false;
      case Step::gone:
        note(*work, kClientClosedRequest, 0, client);
        finish(*work, 1);
        co_return false;
      case Step::idle:
        break;
    }
  }
}

Protocol::Step Protocol::answer_pending(Workspace& work, std::string_view client) {
  Step step = Step::more;
  while (step == Step::more && work.output.size() < kOutputSize) {
    if (work.pending().empty()) return Step::idle;
    if (!work.request_begun) work.request_begun = work.last_read;
    const HeadParser::Result head = work.parser.parse(work.pending(), work.request);
    if (head.state == HeadParser::State::incomplete) return Step::read;
    if (head.state == HeadParser::State::bad) return refuse(work, head.status, client);
    work.consume(head.size);
    work.request_by = after(limits_.header_timeout);
    if (work.request.body_framing != BodyFraming::none) return Step::body;
    clock_.update(std::time(nullptr));
    worker_.slot().begin(work.request.line, client);
    Reception reception = receive(work.request);
    if (reception.responder) {
      work.responder = std::move(reception.responder);
      return Step::respond;
    }
    step = answer(work, client, reception.page);
  }
  return step;
}

Protocol::Step Protocol::answer(Workspace& work, std::string_view client, const PagePtr& page) {
  const bool last = worker_.must_close() && work.pending().empty();
  const bool has_end = !page->source || page->source->length || work.request.minor_version > 0;
  const bool keep = work.request.keep_alive && !work.distrusted && !last && has_end;
  work.persistence = keep ? Persistence::keep : Persistence::close;
  append_answer(*page, work.request, work.persistence, clock_, work.output);
  const bool has_body = work.request.method != Method::head;
  const bool has_rest = has_body && (page->file || page->source);
  note(work, page->status, has_body && !has_rest ? page->size : 0, client);
  if (!has_rest) return after_answer(work);
  work.rest = page;
  return Step::rest;
}

Protocol::Step Protocol::refuse(Workspace& work, Status status, std::string_view client) {
  clock_.update(std::time(nullptr));
  work.distrusted = true;
  const PagePtr page = error_pages_.make(status);
  append_answer(*page, work.request, Persistence::close, clock_, work.output);
  note(work, status, page->size, client);
  return Step::close;
}

Protocol::Step Protocol::after_answer(const Workspace& work) const noexcept {
  return work.persistence == Persistence::keep ? Step::more : Step::close;
}

std::chrono::milliseconds Protocol::time_for(std::uint64_t bytes) const noexcept {
  return std::chrono::milliseconds{bytes * 1000 / limits_.least_rate};
}

Reception Protocol::receive(const Request& request) {
  try {
    if (request.target_form == TargetForm::asterisk) return {.page = refuse_method(request)};
    Reception reception = site_(request);
    if (reception.page) reception.page = select(reception.page, request, clock_.now());
    return reception;
  } catch (const std::exception& error) {
    return {.page = page_of_failure(request, error)};
  }
}

PagePtr Protocol::page_of_failure(const Request& request, const std::exception& error) {
  worker_.log().error("{}: {}", request.target, error.what());
  const auto* const cause = dynamic_cast<const Error*>(&error);
  if (cause != nullptr && (cause->code().value() == ENOSPC || cause->code().value() == EDQUOT))
    return error_pages_.make(Status::insufficient_storage);
  if (dynamic_cast<const proc::DeadlineExceeded*>(&error) != nullptr)
    return error_pages_.make(Status::gateway_timeout);
  if (dynamic_cast<const proc::PoolUnavailable*>(&error) != nullptr)
    return error_pages_.make(Status::service_unavailable, "Retry-After: 1\r\n");
  return error_pages_.make(Status::internal_server_error);
}

// The body is read to its end before the answer, also if nothing uses it: only so is it known that
// the request was well-formed, and where the next one begins.
net::Task<Protocol::Step> Protocol::read_body(Stream& stream, Workspace& work,
                                              std::string_view client) {
  clock_.update(std::time(nullptr));
  worker_.slot().begin(work.request.line, client);
  BodyReader body{work.request, limits_.max_body};
  BodyReader::Step step = body.read({});
  if (step.state == BodyReader::State::bad) co_return refuse(work, step.status, client);
  auto [page, responder] = receive(work.request);
  if (step.state == BodyReader::State::more && work.request.expect_continue) {
    if (!responder) {
      // The final answer comes instead of 100, and whether the client still sends the body is
      // unknown (RFC 9110 §10.1.1).
      work.distrusted = true;
      co_return answer(work, client, page);
    }
    const IoResult sent = co_await stream.write(kContinue, after(limits_.send_timeout));
    if (sent.failed()) co_return Step::gone;
  }
  const std::size_t behind_head = work.begin;
  std::uint64_t received = 0;
  const auto begin = worker_.loop().now();
  while (step.state == BodyReader::State::more) {
    if (work.pending().empty()) {
      const IoResult got =
          co_await stream.read_some(work.room_behind(behind_head), work.request_by);
      if (got.timed_out()) co_return refuse(work, Status::request_timeout, client);
      if (got.bytes == 0) co_return refuse(work, Status::bad_request, client);
      work.append(got.bytes, worker_.loop().now());
      received += got.bytes;
      if (responder)
        work.request_by = Deadline::after(begin, limits_.header_timeout + time_for(received));
    }
    step = body.read(work.pending());
    work.consume(step.consumed);
    if (responder) {
      try {
        responder->write(step.data);
      } catch (const std::exception& error) {
        page = page_of_failure(work.request, error);
        responder.reset();
      }
    }
  }
  if (step.state == BodyReader::State::bad) co_return refuse(work, step.status, client);
  clock_.update(std::time(nullptr));
  if (!responder) co_return answer(work, client, page);
  work.responder = std::move(responder);
  co_return Step::respond;
}

net::Task<Protocol::Step> Protocol::respond(Stream& stream, Workspace& work,
                                            std::string_view client) {
  PagePtr page;
  try {
    page = co_await await_page(stream, work, client);
    for (int hops = 0; page && !page->elsewhere.empty(); ++hops) {
      if (hops == kMostRedirections) throw Error{"redirect", page->elsewhere, "for ever"};
      work.elsewhere = page->elsewhere;
      redirect_inside(work.request, work.elsewhere);
      Reception reception = receive(work.request);
      page = std::move(reception.page);
      work.responder = std::move(reception.responder);
      if (!page) page = co_await await_page(stream, work, client);
    }
  } catch (const std::exception& error) {
    page = page_of_failure(work.request, error);
  }
  if (!page) co_return Step::gone;
  clock_.update(std::time(nullptr));
  co_return answer(work, client, page);
}

// Nullptr: the client has left, and nobody needs the answer.
net::Task<PagePtr> Protocol::await_page(Stream& stream, Workspace& work, std::string_view client) {
  const auto responder = std::exchange(work.responder, nullptr);
  net::Task<PagePtr> answer =
      responder->respond({.request = work.request, .client = client, .socket = stream.fd()});
  const auto outcome = co_await stream.while_connected(std::move(answer).operator co_await());
  if (!outcome.value) co_return nullptr;
  co_return select(*outcome.value, work.request, clock_.now());
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

// What a source throws can only be told by an end without end; one that yields more than it has
// said is cut as well.
net::Task<IoResult> Protocol::send_source(Stream& stream, const Page& page,
                                          const Request& request) {
  BodySource& source = *page.source;
  const bool chunked = !source.length && request.minor_version > 0;
  const bool endless = !source.filler.empty();
  IoResult all;
  std::string out;
  for (bool more = true; more;) {
    std::optional<std::string> piece;
    try {
      const auto silence = endless ? after(source.silence) : Deadline::never();
      auto next = co_await stream.while_connected(source.pieces.next(), silence,
                                                  endless ? &worker_.drain() : nullptr);
      if (next.error == ETIMEDOUT) {
        piece = source.filler;
      } else if (next.value) {
        piece = std::move(*next.value);
      } else if (next.error != ECANCELED) {
        co_return IoResult{.bytes = all.bytes, .error = next.error};
      }
    } catch (const std::exception& error) {
      worker_.log().error("{}: {}", request.target, error.what());
      co_return IoResult{.bytes = all.bytes, .error = EIO};
    }
    more = piece.has_value();
    out.clear();
    if (chunked && more) append_chunk(*piece, out);
    if (chunked && !more) out.append(kLastChunk);
    if (!chunked && more) out.swap(*piece);
    if (source.length && all.bytes + out.size() > *source.length) break;
    const IoResult sent = co_await stream.write(out, after(limits_.send_timeout));
    all = {.bytes = all.bytes + sent.bytes, .error = sent.error};
    if (all.failed()) co_return all;
  }
  if (source.length && all.bytes != *source.length) {
    worker_.log().error("{}: its body has another length than it has said", request.target);
    all.error = EIO;
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

// What is at the end of the output is its answer.
void Protocol::note(Workspace& work, Status status, std::uint64_t bytes, std::string_view client) {
  const auto begun = std::exchange(work.request_begun, std::nullopt).value_or(work.last_read);
  PendingAnswer answer{
      .record = {.status = status, .bytes = bytes}, .end = work.output.size(), .request = begun};
  if (log_.enabled()) {
    answer.record.client = client;
    answer.record.request_line = work.request.line;
    answer.record.referer = work.request.field("referer").value_or("");
    answer.record.user_agent = work.request.field("user-agent").value_or("");
    answer.record.worker = pid_;
  }
  work.answers.push_back(answer);
}

// The client has left, or takes no more, when so much of the output was sent.
void Protocol::cut(Workspace& work, std::size_t sent) {
  for (auto& [record, end, request] : work.answers) {
    const std::size_t body = end - record.bytes;
    if (sent < body) record.status = kClientClosedRequest;
    record.bytes = sent < body ? 0 : std::min(record.bytes, sent - body);
  }
  finish(work, work.answers.size());
}

// The first so many answers are sent, as far as they ever will be.
void Protocol::finish(Workspace& work, std::size_t count) {
  const auto now = Deadline::Clock::now();
  const auto sent = std::span{work.answers}.first(count);
  for (auto& [record, end, request] : sent) {
    worker_.slot().count_request(record.bytes, now - request);
    if (!log_.enabled()) continue;
    clock_.update(std::time(nullptr));
    record.time = clock_.log_time();
    record.duration = std::chrono::duration_cast<std::chrono::microseconds>(now - request);
    log_.add(record);
  }
  work.answers.erase(work.answers.begin(),
                     work.answers.begin() + static_cast<std::ptrdiff_t>(count));
}

// From the time of this turn of the loop: a clock that is read once for all connections.
Deadline Protocol::after(std::chrono::milliseconds duration) const noexcept {
  return Deadline::after(worker_.loop().now(), duration);
}

}  // namespace procpool::http
