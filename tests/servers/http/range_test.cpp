// What a Range field asks for.
#include "servers/http/range.hpp"

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace procpool::http {

void PrintTo(const ByteRange& range, std::ostream* out) {
  *out << range.first << "+" << range.length;
}

namespace {

using Ranges = std::vector<ByteRange>;
using Kind = RangeSet::Kind;

constexpr std::uint64_t kSize = 10;

TEST(Range, names_bytes_from_the_begin_or_the_end) {
  const std::pair<std::string_view, Ranges> cases[] = {
      {"bytes=0-4", {{0, 5}}},
      {"bytes=0-0", {{0, 1}}},
      {"bytes=9-9", {{9, 1}}},
      {"bytes=5-", {{5, 5}}},
      {"bytes=0-", {{0, 10}}},
      {"bytes=-5", {{5, 5}}},
      {"bytes=-10", {{0, 10}}},
      {"bytes=-11", {{0, 10}}},
      {"bytes=5-100", {{5, 5}}},
      {"bytes=0-99999999999999999999999", {{0, 10}}},
      {"bytes=-99999999999999999999999", {{0, 10}}},
      {"BYTES=0-4", {{0, 5}}},
      {"bytes= 0-4 ", {{0, 5}}},
      {"bytes=00-04", {{0, 5}}},
      {"bytes=0-0,-1", {{0, 1}, {9, 1}}},
      {"bytes=,0-0 ,, -1,", {{0, 1}, {9, 1}}},
      {"bytes=8-9,0-1", {{8, 2}, {0, 2}}},
      {"bytes=0-1,100-", {{0, 2}}},
  };
  for (const auto& [value, ranges] : cases) {
    const RangeSet set = parse_range(value, kSize);
    EXPECT_EQ(set.kind, Kind::satisfiable) << value;
    EXPECT_EQ(set.ranges, ranges) << value;
  }
}

TEST(Range, without_a_byte_is_unsatisfiable) {
  for (const std::string_view value : {"bytes=10-", "bytes=9999-", "bytes=10-20", "bytes=-0",
                                       "bytes=-0,10-", "bytes=99999999999999999999999-",
                                       "bytes=99999999999999999999998-99999999999999999999999"}) {
    EXPECT_EQ(parse_range(value, kSize).kind, Kind::unsatisfiable) << value;
  }
}

TEST(Range, that_is_none_is_ignored) {
  for (const std::string_view value : {"",
                                       "bytes",
                                       "bytes=",
                                       "bytes=,",
                                       "bytes=-",
                                       "bytes=5-2",
                                       "bytes=0-1,5-2",
                                       "bytes=a-b",
                                       "bytes=0x0-1",
                                       "bytes=+0-1",
                                       "bytes=0--1",
                                       "bytes=0 - 1",
                                       "bytes=1",
                                       "bytes=0-1-2",
                                       "bytes=0-1;2-3",
                                       "bytes = 0-1",
                                       "lines=0-1",
                                       "none",
                                       "bytes 0-1",
                                       "bytes=0-1,x"}) {
    EXPECT_EQ(parse_range(value, kSize).kind, Kind::ignored) << value;
  }
}

TEST(Range, of_nothing_is_ignored) {
  for (const std::string_view value : {"bytes=0-", "bytes=-1", "bytes=0-0"})
    EXPECT_EQ(parse_range(value, 0).kind, Kind::ignored) << value;
}

TEST(Range, that_overlaps_another_is_joined_with_it) {
  EXPECT_EQ(parse_range("bytes=2-5,0-3", kSize).ranges, (Ranges{{0, 6}}));
  EXPECT_EQ(parse_range("bytes=0-,0-,0-", kSize).ranges, (Ranges{{0, 10}}));
  EXPECT_EQ(parse_range("bytes=8-9,0-1,1-2", kSize).ranges, (Ranges{{0, 3}, {8, 2}}));
  EXPECT_EQ(parse_range("bytes=0-9,2-3,9-9", kSize).ranges, (Ranges{{0, 10}}));
  EXPECT_EQ(parse_range("bytes=0-1,2-3", kSize).ranges, (Ranges{{0, 2}, {2, 2}}));
}

TEST(Range, in_great_numbers_is_ignored) {
  std::string value = "bytes=0-0";
  for (std::size_t i = 1; i < kMostRanges; ++i)
    value += "," + std::to_string(2 * i) + "-" + std::to_string(2 * i);
  EXPECT_EQ(parse_range(value, 1000).ranges.size(), kMostRanges);
  EXPECT_EQ(parse_range(value + ",999-", 1000).kind, Kind::ignored);
  EXPECT_EQ(parse_range(value + ",1000-", 1000).kind, Kind::ignored);
}

TEST(Range, reaches_the_end_of_the_largest_representation) {
  constexpr std::uint64_t kLargest = ~std::uint64_t{0};
  EXPECT_EQ(parse_range("bytes=0-18446744073709551615", kLargest).ranges, (Ranges{{0, kLargest}}));
  EXPECT_EQ(parse_range("bytes=18446744073709551614-", kLargest).ranges,
            (Ranges{{kLargest - 1, 1}}));
}

TEST(Range, is_told_with_the_size_of_the_whole) {
  std::string text;
  append_content_range({5, 5}, 10, text);
  EXPECT_EQ(text, "bytes 5-9/10");
}

}  // namespace
}  // namespace procpool::http
