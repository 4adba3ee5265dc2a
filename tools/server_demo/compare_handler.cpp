#include "tools/server_demo/compare_handler.hpp"

#include <time.h>

#include <string>
#include <thread>
#include <utility>

#include "tools/server_demo/load.hpp"
#include "tools/server_demo/protocols.hpp"

namespace procpool::server_demo {
namespace {

using namespace std::chrono_literals;

std::chrono::nanoseconds processor_time_of_thread() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

void do_it(Work work) {
  if (work == Work::computes) {
    compute(kComputing);
  } else {
    std::this_thread::sleep_for(kWaiting);
  }
}

models::MakeByteHandler working_bytes(Work work) {
  return [work]() -> models::ByteHandler {
    return [work, handler = bytes_of(Protocol::lines)()](std::string_view in, std::string& out) {
      if (in.starts_with(kWork)) do_it(work);
      return handler(in, out);
    };
  };
}

// A client that waits for his answer says nothing: so his connection is not readable before the
// time is over, unless he leaves.
net::Task<> answer_after_waiting(net::Stream stream) {
  constexpr auto kIdle = 60s;
  std::array<char, 256> buffer;
  std::string out;
  const auto handler = bytes_of(Protocol::lines)();
  for (;;) {
    const auto got = co_await stream.read_some(buffer, Deadline::in(kIdle));
    if (got.failed() || got.bytes == 0) co_return;
    const std::string_view in{buffer.data(), got.bytes};
    if (in.starts_with(kWork)) co_await stream.readable(Deadline::in(kWaiting));
    out.clear();
    handler(in, out);
    if ((co_await stream.write(out, Deadline::in(kIdle))).failed()) co_return;
  }
}

}  // namespace

void compute(std::chrono::nanoseconds processor_time) {
  const auto end = processor_time_of_thread() + processor_time;
  while (processor_time_of_thread() < end) {
  }
}

Handlers handlers_doing(Work work) {
  Handlers handlers = handlers_of(working_bytes(work));
  if (work == Work::waits) handlers.streams = answer_after_waiting;
  return handlers;
}

}  // namespace procpool::server_demo
