// Chunks are read by hand, because Beast's parser (1.81, tried) takes a bare LF and a NUL inside a
// quoted extension, joins folded trailers, sets no bound to extensions and leading zeros, gives
// trailers out as fields of the head, and wants each chunk's first line, and all the trailers, in
// one piece of memory.
#include "servers/http/body_reader.hpp"

#include <algorithm>

#include "servers/http/detail/grammar.hpp"

namespace procpool::http {
namespace {

constexpr unsigned kMaxSizeDigits = 16;  // of 64 bits

bool is_text(char c) noexcept {
  return !is_control(c) || c == '\t';
}

}  // namespace

BodyReader::BodyReader(const Request& request, std::uint64_t limit) noexcept {
  switch (request.body_framing) {
    case BodyFraming::none:
      break;
    case BodyFraming::length:
      left_ = request.content_length;
      if (left_ > limit) {
        expect_ = Expect::refusal;
      } else if (left_ > 0) {
        expect_ = Expect::length_data;
      }
      break;
    case BodyFraming::chunked:
      expect_ = Expect::size;
      allowance_ = limit;
      break;
  }
}

BodyReader::Step BodyReader::read(std::string_view input) {
  std::size_t used = 0;
  for (;;) {
    switch (expect_) {
      case Expect::nothing:
        return {.state = State::done, .consumed = used};
      case Expect::refusal:
        return {.state = State::bad, .status = Status::content_too_large};
      case Expect::length_data:
      case Expect::chunk_data: {
        const std::string_view data = input.substr(used, left_);
        left_ -= data.size();
        if (left_ == 0) {
          expect_ = expect_ == Expect::length_data ? Expect::nothing : Expect::chunk_cr;
        }
        const State state = expect_ == Expect::nothing ? State::done : State::more;
        return {.state = state, .consumed = used + data.size(), .data = data};
      }
      default:
        break;
    }
    if (used == input.size()) return {.state = State::more, .consumed = used};
    const Status status = take(input[used]);
    if (status != Status::ok) return {.state = State::bad, .consumed = used, .status = status};
    ++used;
  }
}

// One byte of what stands around the data of chunks.
Status BodyReader::take(char byte) noexcept {
  switch (expect_) {
    case Expect::size:
      return take_size(byte);
    case Expect::size_space:
    case Expect::extension:
      if (++extensions_ > kMaxExtensions) return Status::bad_request;
      break;
    case Expect::trailer_begin:
    case Expect::trailer_name:
    case Expect::trailer_value:
    case Expect::trailer_lf:
    case Expect::final_lf:
      if (++trailers_ > kMaxTrailers) return Status::request_header_fields_too_large;
      break;
    default:
      break;
  }
  return step(byte) ? Status::ok : Status::bad_request;
}

Status BodyReader::take_size(char byte) noexcept {
  if (const int digit = hex_value(byte); digit >= 0) {
    left_ = left_ << 4 | static_cast<unsigned>(digit);
    return ++size_digits_ <= kMaxSizeDigits ? Status::ok : Status::bad_request;
  }
  if (size_digits_ == 0) return Status::bad_request;
  if (left_ > allowance_) return Status::content_too_large;
  allowance_ -= left_;
  size_digits_ = 0;
  return step(byte) ? Status::ok : Status::bad_request;
}

// RFC 9112 §7.1, but for the digits: false when `byte` cannot come next.
bool BodyReader::step(char byte) noexcept {
  const auto go = [this](Expect next) {
    expect_ = next;
    return true;
  };
  switch (expect_) {
    case Expect::size:
    case Expect::size_space:
      if (byte == ';') return go(Expect::extension);
      if (is_white(byte)) return go(Expect::size_space);
      return expect_ == Expect::size && byte == '\r' && go(Expect::size_lf);
    case Expect::extension:
      return byte == '\r' ? go(Expect::size_lf) : is_text(byte);
    case Expect::size_lf:
      return byte == '\n' && go(left_ > 0 ? Expect::chunk_data : Expect::trailer_begin);
    case Expect::chunk_cr:
      return byte == '\r' && go(Expect::chunk_lf);
    case Expect::chunk_lf:
      return byte == '\n' && go(Expect::size);
    case Expect::trailer_begin:
      if (byte == '\r') return go(Expect::final_lf);
      return contains(kToken, byte) && go(Expect::trailer_name);
    case Expect::trailer_name:
      return byte == ':' ? go(Expect::trailer_value) : contains(kToken, byte);
    case Expect::trailer_value:
      return byte == '\r' ? go(Expect::trailer_lf) : is_text(byte);
    case Expect::trailer_lf:
      return byte == '\n' && go(Expect::trailer_begin);
    case Expect::final_lf:
      return byte == '\n' && go(Expect::nothing);
    default:
      return false;
  }
}

}  // namespace procpool::http
