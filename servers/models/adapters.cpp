#include "servers/models/adapters.hpp"

#include <array>
#include <cstddef>
#include <exception>
#include <string>
#include <utility>

#include "ipc/base/deadline.hpp"
#include "servers/models/detail/server_state.hpp"

namespace procpool::models {
namespace {

// The logger of a process is another one after each USR1: it is asked for when it is needed.
template <typename Process>
net::Task<> serve(const StreamHandler& handler, net::Stream stream, net::Interrupt& stop,
                  Process& process) {
  const std::string client = detail::client_of(stream.fd());
  const detail::EndAtStop end_at_stop{stop, stream.fd()};
  try {
    co_await handler(std::move(stream));
  } catch (...) {
    process.log().error("{}: {}", client, detail::text_of(std::current_exception()));
  }
}

net::Task<> converse(const MakeByteHandler& make_handler, net::Stream stream,
                     std::chrono::milliseconds idle_timeout) {
  constexpr std::size_t kBuffer = 4096;
  std::array<char, kBuffer> buffer;
  std::string out;
  const ByteHandler handler = make_handler();
  for (;;) {
    const auto got = co_await stream.read_some(buffer, Deadline::in(idle_timeout));
    if (got.failed()) co_return;
    out.clear();
    const Then then = handler({buffer.data(), got.bytes}, out);
    if ((co_await stream.write(out, Deadline::in(idle_timeout))).failed()) co_return;
    if (then == Then::close || got.bytes == 0) break;
  }
  stream.shutdown_write();
  for (;;) {
    const auto ignored = co_await stream.read_some(buffer, Deadline::in(idle_timeout));
    if (ignored.bytes == 0) co_return;
  }
}

}  // namespace

MakeHandler for_workers(StreamHandler handler) {
  return [handler = std::move(handler)](Worker& worker) -> Handler {
    return [handler, &worker](net::Stream stream) {
      return serve(handler, std::move(stream), worker.drain(), worker);
    };
  };
}

SessionHandler for_sessions(StreamHandler handler) {
  return [handler = std::move(handler)](Session& session, net::Stream stream) {
    return serve(handler, std::move(stream), session.stop(), session);
  };
}

StreamHandler over_stream(MakeByteHandler make_handler, std::chrono::milliseconds idle_timeout) {
  return [make_handler = std::move(make_handler), idle_timeout](net::Stream stream) {
    return converse(make_handler, std::move(stream), idle_timeout);
  };
}

}  // namespace procpool::models
