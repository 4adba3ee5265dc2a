#include "servers/net/byte_order.hpp"

#include <cstdint>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace procpool::net {
namespace {

TEST(ByteOrder, big_is_that_of_the_network) {
  std::string out;
  append_number<std::uint32_t>(out, 0x01020304, std::endian::big);
  append_number<std::uint16_t>(out, 0x0506, std::endian::big);
  EXPECT_EQ(out, "\x01\x02\x03\x04\x05\x06");
  EXPECT_EQ(read_number<std::uint32_t>(out, std::endian::big), 0x01020304U);
}

TEST(ByteOrder, little_is_the_other_one) {
  std::string out;
  append_number<std::uint64_t>(out, 0x0102030405060708, std::endian::little);
  EXPECT_EQ(out, "\x08\x07\x06\x05\x04\x03\x02\x01");
  EXPECT_EQ(read_number<std::uint64_t>(out, std::endian::little), 0x0102030405060708U);
}

TEST(ByteOrder, is_known_at_compile_time) {
  using std::string_view_literals::operator""sv;
  static_assert(read_number<std::uint16_t>("\x01\x00"sv, std::endian::big) == 256);
  static_assert(in_order(in_order(std::uint32_t{7}, std::endian::big), std::endian::big) == 7);
}

}  // namespace
}  // namespace procpool::net
