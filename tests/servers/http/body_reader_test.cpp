#include "servers/http/body_reader.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "tests/servers/http/parsed_head.hpp"

namespace procpool::http {
namespace {

using namespace std::string_literals;
using State = BodyReader::State;

constexpr std::uint64_t kLimit = 1'000'000;

struct ReadBody {
  State state = State::more;
  Status status = Status::ok;
  std::string data;
  std::string rest;  // what the reader left
};

// Reads `text` as it comes in pieces of `piece` bytes.
ReadBody read_in_pieces(BodyReader reader, std::string_view text, std::size_t piece) {
  ReadBody result;
  std::string pending;
  for (;;) {
    const auto step = reader.read(pending);
    result.state = step.state;
    result.status = step.status;
    result.data += step.data;
    pending.erase(0, step.consumed);
    if (step.state != State::more) break;
    if (!pending.empty()) continue;
    if (text.empty()) break;
    pending = text.substr(0, piece);
    text.remove_prefix(std::min(piece, text.size()));
  }
  result.rest = pending + std::string{text};
  return result;
}

// In pieces of every size, which must make no difference.
ReadBody read_body(const BodyReader& reader, std::string_view text) {
  const ReadBody whole = read_in_pieces(reader, text, std::max<std::size_t>(text.size(), 1));
  for (std::size_t piece = 1; piece < std::min<std::size_t>(text.size(), 50); ++piece) {
    const ReadBody pieces = read_in_pieces(reader, text, piece);
    EXPECT_EQ(pieces.state, whole.state) << piece << text;
    EXPECT_EQ(pieces.status, whole.status) << piece << text;
    EXPECT_EQ(pieces.data, whole.data) << piece << text;
    EXPECT_EQ(pieces.rest, whole.rest) << piece << text;
  }
  return whole;
}

BodyReader chunked(std::uint64_t limit = kLimit) {
  Request request;
  request.body_framing = BodyFraming::chunked;
  return {request, limit};
}

BodyReader with_length(std::uint64_t length, std::uint64_t limit = kLimit) {
  Request request;
  request.body_framing = BodyFraming::length;
  request.content_length = length;
  return {request, limit};
}

Status refusal(std::string_view text) {
  const auto body = read_body(chunked(), text);
  EXPECT_EQ(body.state, State::bad) << text;
  return body.status;
}

TEST(BodyReader, is_done_at_once_without_a_body) {
  EXPECT_EQ(BodyReader{}.read("next").state, State::done);
  EXPECT_EQ(BodyReader{}.read("next").consumed, 0u);
  EXPECT_EQ(with_length(0).read("").state, State::done);
}

TEST(BodyReader, reads_a_length_and_nothing_behind_it) {
  const auto body = read_body(with_length(5), "helloGET");
  EXPECT_EQ(body.state, State::done);
  EXPECT_EQ(body.data, "hello");
  EXPECT_EQ(body.rest, "GET");
  EXPECT_EQ(read_body(with_length(9), "hello").state, State::more);
}

TEST(BodyReader, refuses_a_length_over_its_limit_before_any_byte_has_come) {
  const auto step = with_length(kLimit + 1).read("");
  EXPECT_EQ(step.state, State::bad);
  EXPECT_EQ(step.status, Status::content_too_large);
  EXPECT_EQ(with_length(kLimit).read("").state, State::more);
}

TEST(BodyReader, reads_chunks_and_nothing_behind_them) {
  const auto body =
      read_body(chunked(), "5\r\nhello\r\n00B\r\n, my worlds\r\na\r\n0123456789\r\n0\r\n\r\nGET /");
  EXPECT_EQ(body.state, State::done);
  EXPECT_EQ(body.data, "hello, my worlds0123456789");
  EXPECT_EQ(body.rest, "GET /");
  EXPECT_EQ(read_body(chunked(), "0\r\n\r\nx").rest, "x");
}

TEST(BodyReader, wants_more_until_the_last_byte_of_the_chunks) {
  const std::string text = "5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n";
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(read_body(chunked(), text.substr(0, size)).state, State::more) << size;
  }
}

TEST(BodyReader, refuses_what_is_no_size) {
  for (const std::string_view size :
       {"0x5", "-5", "+5", " 5", "", "g", "5 5", "5,5", "\"5\"", "5 "}) {
    EXPECT_EQ(refusal(std::string{size} + "\r\nhello\r\n0\r\n\r\n"), Status::bad_request) << size;
  }
}

TEST(BodyReader, refuses_a_size_beyond_64_bits_however_it_is_written) {
  EXPECT_EQ(refusal("10000000000000005\r\nhello\r\n0\r\n\r\n"), Status::bad_request);
  EXPECT_EQ(refusal("00000000000000005\r\nhello\r\n0\r\n\r\n"), Status::bad_request);
  EXPECT_EQ(refusal("ffffffffffffffff\r\nhello"), Status::content_too_large);
}

TEST(BodyReader, refuses_data_that_does_not_end_where_it_should) {
  EXPECT_EQ(refusal("5\r\nhello0\r\n\r\n"), Status::bad_request);
  EXPECT_EQ(refusal("5\r\nhello!\r\n0\r\n\r\n"), Status::bad_request);
  EXPECT_EQ(refusal("5\r\nhello\n0\r\n\r\n"), Status::bad_request);
  EXPECT_EQ(refusal("5\r\nhello\r0\r\n\r\n"), Status::bad_request);
}

TEST(BodyReader, refuses_lines_that_end_in_a_bare_line_feed_or_carriage_return) {
  EXPECT_EQ(refusal("5\nhello\r\n0\r\n\r\n"), Status::bad_request);
  EXPECT_EQ(refusal("5;a\nhello\r\n0\r\n\r\n"), Status::bad_request);
  EXPECT_EQ(refusal("5\rhello\r\n0\r\n\r\n"), Status::bad_request);
  EXPECT_EQ(refusal("5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"), Status::bad_request);
  EXPECT_EQ(refusal("5;a=\"\0\"\r\nhello\r\n0\r\n\r\n"s), Status::bad_request);
  EXPECT_EQ(refusal("0\r\n\n"), Status::bad_request);
  EXPECT_EQ(refusal("0\r\nA: b\n\r\n"), Status::bad_request);
  EXPECT_EQ(refusal("0\n\r\n"), Status::bad_request);
}

TEST(BodyReader, ignores_extensions_within_bounds) {
  const auto body = read_body(chunked(), "5;a;b=c;d=\"e f\"\r\nhello\r\n0 ;last\r\n\r\n");
  EXPECT_EQ(body.state, State::done);
  EXPECT_EQ(body.data, "hello");
  EXPECT_EQ(refusal("5;" + std::string(65'536, 'a') + "\r\nhello\r\n0\r\n\r\n"),
            Status::bad_request);
}

TEST(BodyReader, bounds_the_extensions_of_all_chunks_together) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "1;abcdefgh\r\nx\r\n";
  EXPECT_EQ(refusal(text + "0\r\n\r\n"), Status::bad_request);
}

TEST(BodyReader, drops_trailers_whatever_they_are_called) {
  const auto body = read_body(
      chunked(), "0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: evil\r\n\r\nGET");
  EXPECT_EQ(body.state, State::done);
  EXPECT_EQ(body.rest, "GET");
}

TEST(BodyReader, refuses_trailers_that_are_no_fields) {
  for (const std::string_view trailer :
       {"no colon", ": b", "A : b", " A: b", "A: b\r\n c", "A: \x01", "A[]: b"}) {
    EXPECT_EQ(refusal("0\r\n" + std::string{trailer} + "\r\n\r\n"), Status::bad_request) << trailer;
  }
}

TEST(BodyReader, bounds_the_trailers) {
  EXPECT_EQ(refusal("0\r\nA: " + std::string(65'536, 'a') + "\r\n\r\n"),
            Status::request_header_fields_too_large);
}

TEST(BodyReader, bounds_the_data_of_all_chunks_together) {
  EXPECT_EQ(read_body(chunked(10), "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n").state, State::done);
  const auto body = read_body(chunked(10), "5\r\nhello\r\n6\r\nworld!\r\n0\r\n\r\n");
  EXPECT_EQ(body.state, State::bad);
  EXPECT_EQ(body.status, Status::content_too_large);
}

}  // namespace
}  // namespace procpool::http
