// A body means the same however it arrives, stays within its limit, and ends where it ends.
#include "servers/http/body_reader.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/fuzz/check.hpp"

namespace procpool::http {

using fuzz::check;

namespace {

constexpr std::uint64_t kLimit = 1000;

struct Outcome {
  BodyReader::State state = BodyReader::State::more;
  Status status = Status::ok;
  std::string data;
  std::size_t consumed = 0;
  bool operator==(const Outcome&) const = default;
};

Outcome read(BodyReader reader, std::string_view input, std::size_t piece) {
  Outcome outcome;
  std::size_t arrived = 0;
  for (;;) {
    const auto step = reader.read(input.substr(outcome.consumed, arrived - outcome.consumed));
    check(step.consumed <= arrived - outcome.consumed, "no more is consumed than is there");
    outcome.consumed += step.consumed;
    outcome.data += step.data;
    outcome.state = step.state;
    outcome.status = step.status;
    if (step.state != BodyReader::State::more) return outcome;
    if (outcome.consumed < arrived) continue;
    if (arrived == input.size()) return outcome;
    arrived = std::min(arrived + piece, input.size());
  }
}

}  // namespace

// The first byte says how the body is framed and how large the pieces are in which it arrives.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  Request request;
  request.body_framing = data[0] % 4 == 0 ? BodyFraming::length : BodyFraming::chunked;
  request.content_length = data[0];
  const std::size_t piece = std::size_t{1} + data[0] / 4;
  const std::string_view input{reinterpret_cast<const char*>(data) + 1, size - 1};

  const BodyReader reader{request, kLimit};
  const Outcome whole = read(reader, input, std::max<std::size_t>(input.size(), 1));
  check(whole == read(reader, input, piece), "pieces make no difference");
  check(whole.data.size() <= kLimit, "a body stays within its limit");
  check((whole.state == BodyReader::State::bad) == (whole.status != Status::ok),
        "only bad has a status");
  if (whole.state == BodyReader::State::done && request.body_framing == BodyFraming::chunked) {
    check(input.substr(0, whole.consumed).ends_with("\r\n\r\n"), "chunks end in an empty line");
  }
  return 0;
}

}  // namespace procpool::http
