// The body of a request, piece by piece, out of its Content-Length or its chunks.
//
//   BodyReader body{request, max_body};
//   auto step = body.read(input);            // also with an empty input: see below
//   use(step.data);                          // a view into `input`
//   input.remove_prefix(step.consumed);      // then again, until done or bad
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "servers/http/request.hpp"
#include "servers/http/status.hpp"

namespace procpool::http {

// Reads one body and never a byte behind it. Keeps nothing of the input but counters; allocates
// nothing. A value, of one thread.
//
// Chunked bodies are read by RFC 9112 §7.1: every line ends in CRLF, a size is 1 to 16 hex digits,
// data is followed by CRLF; otherwise 400. Extensions are skipped, up to kMaxExtensions bytes in
// the whole body (beyond: 400). Trailers are checked, up to kMaxTrailers bytes (beyond: 431), and
// dropped: RFC 9110 §6.5.1 lets a server do so, and nothing of them may change what the head said.
class BodyReader {
 public:
  static constexpr std::size_t kMaxExtensions = 4096;
  static constexpr std::size_t kMaxTrailers = 8192;

  enum class State {
    more,  // read again: with the rest of the input, or with what comes next when all is consumed
    done,  // the body has ended: what was not consumed is the next request
    bad,   // answer `status` and close: where the next request begins is not known
  };

  struct Step {
    State state;
    std::size_t consumed = 0;    // bytes of the input that are done with, data included
    std::string_view data = {};  // of the body; may be empty
    Status status = Status::ok;  // when bad
  };

  // A body without a request's head: of nothing, and done.
  BodyReader() noexcept = default;

  // `limit` is the most bytes of data that the body may have.
  BodyReader(const Request& request, std::uint64_t limit) noexcept;

  // Takes what it can of `input`, up to the end of one piece of data. With `input` empty it says
  // what is known before any byte has come: done for a request without a body, bad (413) for a
  // Content-Length over the limit. Ask so before a client is told to continue. Not called again
  // after done or bad.
  Step read(std::string_view input);

 private:
  enum class Expect {
    nothing,
    refusal,
    length_data,
    size,
    size_space,
    extension,
    size_lf,
    chunk_data,
    chunk_cr,
    chunk_lf,
    trailer_begin,
    trailer_name,
    trailer_value,
    trailer_lf,
    final_lf,
  };

  Status take(char byte) noexcept;
  Status take_size(char byte) noexcept;
  bool step(char byte) noexcept;

  Expect expect_ = Expect::nothing;
  std::uint64_t left_ = 0;       // of the data of this chunk, or of the body of known length
  std::uint64_t allowance_ = 0;  // data that further chunks may bring
  unsigned size_digits_ = 0;
  std::size_t extensions_ = 0;
  std::size_t trailers_ = 0;
};

}  // namespace procpool::http
