// The parts of a representation that a client asks for: RFC 9110 §14.
//
//   const RangeSet wanted = parse_range("bytes=0-4,-5", size);
//   if (wanted.kind == RangeSet::Kind::unsatisfiable) answer(416);
//   for (const ByteRange& range : wanted.ranges) send(range.first, range.length);
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace procpool::http {

// Bytes of a representation: [first, first + length), never empty.
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t length = 0;

  bool operator==(const ByteRange&) const = default;
};

struct RangeSet {
  enum class Kind {
    ignored,        // not bytes, broken, or too many: the whole is sent, as if nothing was asked
    satisfiable,    // `ranges` has what is to be sent
    unsatisfiable,  // 416: none of them has a byte
  };

  Kind kind = Kind::ignored;
  std::vector<ByteRange> ranges = {};
};

// More ranges than this in one request are ignored: they cost more than the whole is worth.
inline constexpr std::size_t kMostRanges = 64;

// Reads the value of a Range field against a representation of `size` bytes. What lies behind its
// end is cut off, what has no byte is left out. The order of the client is kept; but when ranges
// overlap they are joined and sorted, so that no byte is sent twice and all ranges together are
// never longer than the representation. Numbers beyond 2^64 are as good as infinite. Of an
// empty representation the whole is sent, whatever part of it is asked for.
RangeSet parse_range(std::string_view value, std::uint64_t size);

// Appends "bytes 0-4/10", the value of Content-Range for a part of `size` bytes.
void append_content_range(const ByteRange& range, std::uint64_t size, std::string& out);

}  // namespace procpool::http
