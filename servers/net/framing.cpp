#include "servers/net/framing.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <utility>

#include "ipc/base/error.hpp"
#include "servers/net/byte_order.hpp"

namespace procpool::net {
namespace {

[[noreturn]] void refuse(std::string_view reason) {
  throw Error{"frame", {}, reason};
}

std::uint64_t most_of(const LengthPrefix& prefix) {
  constexpr unsigned kBitsOfAByte = 8;
  return prefix.bytes >= sizeof(std::uint64_t)
             ? std::numeric_limits<std::uint64_t>::max()
             : (std::uint64_t{1} << (kBitsOfAByte * prefix.bytes)) - 1;
}

// In the big order the low bytes are the last ones.
std::uint64_t read_length(const LengthPrefix& prefix, std::string_view bytes) {
  std::string whole(sizeof(std::uint64_t) - prefix.bytes, '\0');
  const auto number = bytes.substr(0, prefix.bytes);
  whole.insert(prefix.order == std::endian::big ? whole.size() : 0, number);
  return read_number<std::uint64_t>(whole, prefix.order);
}

void append(const Delimiter& delimiter, std::string_view message, std::string& out) {
  if (message.find(delimiter.bytes) != std::string_view::npos) {
    refuse("a message must not hold its delimiter");
  }
  out.append(message).append(delimiter.bytes);
}

void append(const LengthPrefix& prefix, std::string_view message, std::string& out) {
  if (message.size() > most_of(prefix)) refuse("a message is longer than its prefix can say");
  std::string number;
  append_number<std::uint64_t>(number, message.size(), prefix.order);
  const std::size_t unused = number.size() - prefix.bytes;
  out.append(number, prefix.order == std::endian::big ? unused : 0, prefix.bytes).append(message);
}

void append(const FixedRecord& record, std::string_view message, std::string& out) {
  if (message.size() != record.bytes) refuse("a message has not the size of its record");
  out.append(message);
}

void check(const Framing& framing, std::size_t longest) {
  if (const auto* delimiter = std::get_if<Delimiter>(&framing)) {
    if (delimiter->bytes.empty()) refuse("a delimiter must not be empty");
  } else if (const auto* prefix = std::get_if<LengthPrefix>(&framing)) {
    if (!std::has_single_bit(prefix->bytes) || prefix->bytes > sizeof(std::uint64_t)) {
      refuse("a length prefix has 1, 2, 4 or 8 bytes");
    }
  } else if (const auto* record = std::get_if<FixedRecord>(&framing)) {
    if (record->bytes == 0) refuse("a record must not be empty");
    if (record->bytes > longest) refuse("a record is longer than the longest message");
  }
}

}  // namespace

void append_frame(const Framing& framing, std::string_view message, std::string& out) {
  std::visit([&](const auto& kind) { append(kind, message, out); }, framing);
}

FrameDecoder::FrameDecoder(Framing framing, std::size_t longest)
    : framing_{std::move(framing)}, longest_{longest} {
  check(framing_, longest_);
}

void FrameDecoder::feed(std::string_view bytes) {
  buffer_.erase(0, std::exchange(start_, 0));
  buffer_.append(bytes);
}

std::optional<std::string_view> FrameDecoder::next() {
  if (too_long_) return std::nullopt;
  const auto found = std::visit([this](const auto& kind) { return find(kind); }, framing_);
  if (!found) return std::nullopt;
  const auto message = rest().substr(found->before, found->size);
  start_ += found->before + found->size + found->after;
  searched_ = 0;
  return message;
}

// The delimiter's beginning may be the last bytes that have arrived.
std::optional<FrameDecoder::Extent> FrameDecoder::find(const Delimiter& delimiter) {
  const std::size_t size = delimiter.bytes.size();
  const std::size_t place = rest().find(delimiter.bytes, searched_);
  const bool found = place != std::string_view::npos;
  searched_ = rest().size() - std::min(rest().size(), size - 1);
  too_long_ = (found ? place : searched_) > longest_;
  if (!found || too_long_) return std::nullopt;
  return Extent{.before = 0, .size = place, .after = size};
}

std::optional<FrameDecoder::Extent> FrameDecoder::find(const LengthPrefix& prefix) {
  if (rest().size() < prefix.bytes) return std::nullopt;
  const std::uint64_t length = read_length(prefix, rest());
  too_long_ = length > longest_;
  if (too_long_ || rest().size() - prefix.bytes < length) return std::nullopt;
  return Extent{.before = prefix.bytes, .size = length, .after = 0};
}

std::optional<FrameDecoder::Extent> FrameDecoder::find(const FixedRecord& record) {
  if (rest().size() < record.bytes) return std::nullopt;
  return Extent{.before = 0, .size = record.bytes, .after = 0};
}

Task<FrameResult> read_frame(Stream& stream, FrameDecoder& decoder, Deadline deadline) {
  constexpr std::size_t kPiece = 4096;
  std::array<char, kPiece> buffer;
  for (;;) {
    if (const auto message = decoder.next()) co_return FrameResult{.message = message};
    if (decoder.too_long()) co_return FrameResult{.error = EMSGSIZE};
    const IoResult got = co_await stream.read_some(buffer, deadline);
    if (got.failed()) co_return FrameResult{.error = got.error};
    if (got.bytes == 0) co_return FrameResult{.error = decoder.unfinished() == 0 ? 0 : EPROTO};
    decoder.feed({buffer.data(), got.bytes});
  }
}

Task<IoResult> write_frame(Stream& stream, const Framing& framing, std::string_view message,
                           Deadline deadline) {
  std::string frame;
  append_frame(framing, message, frame);
  co_return co_await stream.write(frame, deadline);
}

}  // namespace procpool::net
