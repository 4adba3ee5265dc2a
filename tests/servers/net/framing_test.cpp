#include "servers/net/framing.hpp"

#include <rapidcheck.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::net {
namespace {

using Messages = std::vector<std::string>;
using namespace std::string_literals;

Messages all_of(FrameDecoder& decoder) {
  Messages messages;
  while (const auto message = decoder.next()) messages.emplace_back(*message);
  return messages;
}

std::string complaint_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

TEST(Framing, by_a_delimiter_finds_messages_however_they_stick_together) {
  FrameDecoder decoder{Delimiter{"\r\n"}};
  decoder.feed("one\r\ntwo\r\nth");
  EXPECT_EQ(all_of(decoder), (Messages{"one", "two"}));
  decoder.feed("ree\r");
  EXPECT_EQ(all_of(decoder), Messages{});
  decoder.feed("\n\r\n");
  EXPECT_EQ(all_of(decoder), (Messages{"three", ""}));
  EXPECT_EQ(decoder.unfinished(), 0U);
}

TEST(Framing, by_a_length_prefix_takes_any_bytes) {
  std::string out;
  append_frame(LengthPrefix{.bytes = 2}, "a\0b\n"s, out);
  append_frame(LengthPrefix{.bytes = 2}, "", out);
  EXPECT_EQ(out, "\0\4a\0b\n\0\0"s);
  FrameDecoder decoder{LengthPrefix{.bytes = 2}};
  decoder.feed(out);
  EXPECT_EQ(all_of(decoder), (Messages{"a\0b\n"s, ""}));
  std::string little;
  append_frame(LengthPrefix{.bytes = 4, .order = std::endian::little}, "x", little);
  EXPECT_EQ(little, "\1\0\0\0x"s);
}

TEST(Framing, by_records_cuts_where_they_end) {
  FrameDecoder decoder{FixedRecord{3}};
  decoder.feed("abcdefgh");
  EXPECT_EQ(all_of(decoder), (Messages{"abc", "def"}));
  EXPECT_EQ(decoder.unfinished(), 2U);
}

TEST(Framing, stops_at_a_message_that_is_too_long) {
  FrameDecoder lines{Delimiter{}, 4};
  lines.feed("1234\n12345");
  EXPECT_EQ(lines.next(), "1234");
  EXPECT_EQ(lines.next(), std::nullopt);
  EXPECT_TRUE(lines.too_long());
  FrameDecoder prefixed{LengthPrefix{.bytes = 8}};
  prefixed.feed("\xff\xff\xff\xff\xff\xff\xff\xff");
  EXPECT_EQ(prefixed.next(), std::nullopt);
  EXPECT_TRUE(prefixed.too_long());
  prefixed.feed("more");
  EXPECT_EQ(prefixed.next(), std::nullopt);
}

TEST(Framing, refuses_what_it_could_not_read_again) {
  std::string out;
  EXPECT_EQ(complaint_of([&] { append_frame(Delimiter{}, "a\nb", out); }),
            "frame: a message must not hold its delimiter");
  EXPECT_EQ(
      complaint_of([&] { append_frame(LengthPrefix{.bytes = 1}, std::string(256, 'x'), out); }),
      "frame: a message is longer than its prefix can say");
  EXPECT_EQ(complaint_of([&] { append_frame(FixedRecord{2}, "x", out); }),
            "frame: a message has not the size of its record");
  EXPECT_EQ(complaint_of([] { FrameDecoder{Delimiter{""}}; }),
            "frame: a delimiter must not be empty");
  EXPECT_EQ(complaint_of([] { FrameDecoder{LengthPrefix{.bytes = 3}}; }),
            "frame: a length prefix has 1, 2, 4 or 8 bytes");
  EXPECT_EQ(complaint_of([] { FrameDecoder{FixedRecord{0}}; }),
            "frame: a record must not be empty");
  EXPECT_EQ(complaint_of([] { FrameDecoder(FixedRecord{10}, 9); }),
            "frame: a record is longer than the longest message");
  EXPECT_EQ(out, "");
}

// Any messages, in any pieces.
void check_round_trip(const Framing& framing, const Messages& messages) {
  std::string wire;
  for (const std::string& message : messages) append_frame(framing, message, wire);
  FrameDecoder decoder{framing};
  Messages seen;
  while (!wire.empty()) {
    const auto size = *rc::gen::inRange<std::size_t>(1, wire.size() + 1);
    decoder.feed(std::string_view{wire}.substr(0, size));
    wire.erase(0, size);
    std::ranges::copy(all_of(decoder), std::back_inserter(seen));
  }
  RC_ASSERT(seen == messages);
  RC_ASSERT(decoder.unfinished() == 0U);
}

RC_GTEST_PROP(FramingProperty, a_length_prefix_brings_back_any_messages,
              (const Messages& messages)) {
  const auto bytes = *rc::gen::element<std::size_t>(1, 2, 4, 8);
  const auto order = *rc::gen::element(std::endian::big, std::endian::little);
  check_round_trip(LengthPrefix{.bytes = bytes, .order = order}, messages);
}

RC_GTEST_PROP(FramingProperty, a_delimiter_brings_back_what_has_it_not, ()) {
  const auto delimiter = *rc::gen::element("\n"s, "\r\n"s, "\0"s, "aab"s);
  const auto messages = *rc::gen::container<Messages>(rc::gen::suchThat(
      rc::gen::container<std::string>(rc::gen::element('a', 'b', '\r', '\n', '\0')),
      [&](const std::string& message) {
        // What ends like the delimiter's beginning would end earlier than it was meant to.
        return (message + delimiter).find(delimiter) == message.size();
      }));
  check_round_trip(Delimiter{delimiter}, messages);
}

RC_GTEST_PROP(FramingProperty, records_bring_back_what_has_their_size, ()) {
  const auto size = *rc::gen::inRange<std::size_t>(1, 20);
  const auto messages = *rc::gen::container<Messages>(
      rc::gen::container<std::string>(size, rc::gen::arbitrary<char>()));
  check_round_trip(FixedRecord{size}, messages);
}

// A stream and its other end.
class FramedStream : public testing::Test {
 protected:
  FramedStream() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) < 0) {
      throw std::runtime_error{"socketpair"};
    }
    near_ = std::make_unique<Stream>(loop_, UniqueFd{ends[0]});
    far_ = UniqueFd{ends[1]};
  }

  FrameResult read(FrameDecoder& decoder, Deadline deadline) {
    FrameResult result;
    const auto body = [&]() -> Task<> { result = co_await read_frame(*near_, decoder, deadline); };
    tasks_.spawn(body());
    while (tasks_.size() > 0) loop_.run_once(Deadline::never());
    return result;
  }

  Loop loop_;
  std::unique_ptr<Stream> near_;
  UniqueFd far_;
  TaskGroup tasks_{[](const std::exception_ptr& problem) { std::rethrow_exception(problem); }};
};

TEST_F(FramedStream, gives_out_messages_one_by_one_and_then_the_end) {
  FrameDecoder decoder{Delimiter{}};
  write_full(far_.fd(), "one\ntwo\n", "far end");
  far_.reset();
  EXPECT_EQ(read(decoder, Deadline::never()).message, "one");
  EXPECT_EQ(read(decoder, Deadline::never()).message, "two");
  const FrameResult last = read(decoder, Deadline::never());
  EXPECT_EQ(last.message, std::nullopt);
  EXPECT_EQ(last.error, 0);
}

TEST_F(FramedStream, says_why_there_is_no_message) {
  FrameDecoder decoder{Delimiter{}, 8};
  write_full(far_.fd(), "half", "far end");
  EXPECT_EQ(read(decoder, Deadline::in(std::chrono::milliseconds{1})).error, ETIMEDOUT);
  FrameDecoder cut_off{decoder};
  write_full(far_.fd(), " and too much", "far end");
  EXPECT_EQ(read(decoder, Deadline::never()).error, EMSGSIZE);
  far_.reset();
  EXPECT_EQ(read(cut_off, Deadline::never()).error, EPROTO);
}

TEST_F(FramedStream, is_written_with_what_belongs_to_a_message) {
  const auto body = [&]() -> Task<> {
    EXPECT_FALSE(
        (co_await write_frame(*near_, LengthPrefix{.bytes = 1}, "hello", Deadline::never()))
            .failed());
  };
  tasks_.spawn(body());
  near_.reset();
  EXPECT_EQ(read_to_end(far_.fd(), "far end"), "\5hello");
}

}  // namespace
}  // namespace procpool::net
