// Whatever arrives, in whatever pieces: the same messages are found, and none is longer than
// allowed.
//
// The first byte of the input chooses the framing, the second the pieces.
#include "servers/net/framing.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/check.hpp"

namespace procpool::net {
namespace {

using fuzz::check;

constexpr std::size_t kLongest = 64;

Framing framing_of(std::uint8_t choice) {
  switch (choice % 6) {
    case 0:
      return Delimiter{"\n"};
    case 1:
      return Delimiter{"\r\n"};
    case 2:
      return LengthPrefix{.bytes = std::size_t{1} << (choice / 6U % 4U)};
    case 3:
      return LengthPrefix{.bytes = 4, .order = std::endian::little};
    case 4:
      return FixedRecord{1 + choice / 6U};
    default:
      return Delimiter{"aab"};
  }
}

struct Found {
  std::vector<std::string> messages;
  bool too_long;
  std::size_t unfinished;
};

Found decode(const Framing& framing, std::string_view bytes, std::size_t piece) {
  FrameDecoder decoder{framing, kLongest};
  Found found{};
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    decoder.feed(bytes.substr(at, piece));
    while (const auto message = decoder.next()) found.messages.emplace_back(*message);
  }
  found.too_long = decoder.too_long();
  found.unfinished = decoder.unfinished();
  return found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Framing framing = framing_of(data[0]);
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 2, size - 2};
  const Found whole = decode(framing, bytes, std::max<std::size_t>(bytes.size(), 1));
  const Found pieces = decode(framing, bytes, std::size_t{1} + data[1]);
  check(whole.messages == pieces.messages, "pieces change nothing");
  check(whole.too_long == pieces.too_long, "nor does it matter for what is too long");
  std::string again;
  for (const std::string& message : whole.messages) {
    check(message.size() <= kLongest, "no message is longer than allowed");
    append_frame(framing, message, again);
  }
  check(bytes.starts_with(again), "what was found is what was sent");
  check(again.size() + whole.unfinished == bytes.size(), "nothing is lost");
  return 0;
}

}  // namespace procpool::net
