// Messages over a stream of bytes, which knows none: one send may arrive in pieces, and several as
// one ("sticky packets").
//
//   FrameDecoder decoder{LengthPrefix{.bytes = 4}, 1 << 20};
//   decoder.feed(bytes);                                             // as they come
//   while (auto message = decoder.next()) handle(*message);
//   append_frame(LengthPrefix{.bytes = 4}, "hello", out);            // the other side
//   FrameResult got = co_await read_frame(stream, decoder, Deadline::in(60s));
#pragma once

#include <bit>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "ipc/base/deadline.hpp"
#include "servers/net/io_result.hpp"
#include "servers/net/stream.hpp"
#include "servers/net/task.hpp"

namespace procpool::net {

// Each message is followed by these bytes, which it cannot have in it: "\n", "\r\n", "\0".
struct Delimiter {
  std::string bytes = "\n";
};

// A number goes before each message: how many bytes it has, without the number itself.
struct LengthPrefix {
  std::size_t bytes = 4;  // of the number: 1, 2, 4 or 8
  std::endian order = std::endian::big;
};

// Each message has so many bytes.
struct FixedRecord {
  std::size_t bytes = 1;
};

using Framing = std::variant<Delimiter, LengthPrefix, FixedRecord>;

// Appends a message with what belongs to it. Throws Error: it holds the delimiter, is longer than
// the prefix can say, or has not the size of the record.
void append_frame(const Framing& framing, std::string_view message, std::string& out);

// Finds the messages in what has arrived, however it was cut into pieces. A value; no input, no
// output. No message has more than `longest` bytes: it keeps so many at most, and what was fed
// since next() found none.
class FrameDecoder {
 public:
  // Throws Error: an empty delimiter or record, a prefix of another size, a record that is longer
  // than the longest.
  explicit FrameDecoder(Framing framing, std::size_t longest = std::size_t{1} << 20);

  void feed(std::string_view bytes);

  // The next message, valid until feed() is called; nullopt: it is not all there, or too_long().
  std::optional<std::string_view> next();

  // The next message is longer than allowed: from here on nothing can be found any more.
  bool too_long() const noexcept { return too_long_; }

  // Bytes that have arrived and are no whole message yet: at the end of the stream, what was cut
  // off.
  std::size_t unfinished() const noexcept { return buffer_.size() - start_; }

 private:
  struct Extent {  // of a message, from start_ on
    std::size_t before;
    std::size_t size;
    std::size_t after;
  };
  std::optional<Extent> find(const Delimiter& delimiter);
  std::optional<Extent> find(const LengthPrefix& prefix);
  std::optional<Extent> find(const FixedRecord& record);
  std::string_view rest() const noexcept { return std::string_view{buffer_}.substr(start_); }

  Framing framing_;
  std::size_t longest_;
  std::string buffer_;
  std::size_t start_ = 0;     // of what was not given out yet
  std::size_t searched_ = 0;  // of rest(): there is no delimiter in it
  bool too_long_ = false;
};

// As for Stream; moreover EMSGSIZE: the message is longer than allowed, and EPROTO: the stream has
// come to its end within a message. Neither message nor error: the end, between two messages.
struct FrameResult {
  std::optional<std::string_view> message{};  // valid until the decoder is fed again
  int error = 0;
};

// Reads until there is a message. What has arrived beyond it stays in the decoder: use the same one
// for all of a stream.
Task<FrameResult> read_frame(Stream& stream, FrameDecoder& decoder, Deadline deadline);

// Throws Error as append_frame().
Task<IoResult> write_frame(Stream& stream, const Framing& framing, std::string_view message,
                           Deadline deadline);

}  // namespace procpool::net
