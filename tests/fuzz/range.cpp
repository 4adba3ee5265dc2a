// Whatever a Range field says: what is sent lies in the representation, no byte of it twice.
//
// The first byte of the input chooses the size of the representation.
#include "servers/http/range.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/fuzz/check.hpp"

namespace procpool::http {

using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  constexpr std::uint64_t kSizes[] = {0, 1, 2, 10, 1000, ~std::uint64_t{0}};
  const std::uint64_t whole = kSizes[data[0] % std::size(kSizes)];
  RangeSet set = parse_range({reinterpret_cast<const char*>(data) + 1, size - 1}, whole);
  check((set.kind == RangeSet::Kind::satisfiable) == !set.ranges.empty(), "there is what to send");
  check(set.ranges.size() <= kMostRanges, "there are few ranges");

  std::sort(set.ranges.begin(), set.ranges.end(),
            [](const ByteRange& left, const ByteRange& right) { return left.first < right.first; });
  std::uint64_t sent_up_to = 0;
  for (const ByteRange& range : set.ranges) {
    check(range.length > 0, "no range is empty");
    check(range.first >= sent_up_to, "no byte is sent twice");
    check(range.length <= whole - range.first, "a range lies in the representation");
    sent_up_to = range.first + range.length;
  }
  return 0;
}

}  // namespace procpool::http
