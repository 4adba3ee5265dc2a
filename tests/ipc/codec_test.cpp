#include "ipc/codec.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace procpool::ipc {
namespace {

struct Point {
  int x;
  double y;
  friend bool operator==(const Point&, const Point&) = default;
};

struct Named {
  std::string name;
};

template <typename T>
T there_and_back(const T& value) {
  std::vector<std::byte> bytes;
  Codec<T>::encode(value, bytes);
  return Codec<T>::decode(bytes);
}

TEST(Codec, gives_back_what_it_was_given) {
  EXPECT_EQ(there_and_back(42), 42);
  EXPECT_EQ(there_and_back(Point{1, 2.5}), (Point{1, 2.5}));
  EXPECT_EQ(there_and_back(std::string{}), "");
  EXPECT_EQ(there_and_back(std::string{"a\0b", 3}), (std::string{"a\0b", 3}));
  EXPECT_EQ(there_and_back(std::vector<Point>{}), std::vector<Point>{});
  EXPECT_EQ(there_and_back(std::vector<Point>{{1, 2}, {3, 4}}),
            (std::vector<Point>{{1, 2}, {3, 4}}));
}

TEST(Codec, appends_to_what_is_there) {
  std::vector<std::byte> bytes{std::byte{7}};
  Codec<std::string>::encode("ab", bytes);
  EXPECT_EQ(bytes, (std::vector<std::byte>{std::byte{7}, std::byte{'a'}, std::byte{'b'}}));
}

TEST(Codec, refuses_bytes_that_are_no_value) {
  const std::vector<std::byte> three(3);
  EXPECT_THROW(Codec<int>::decode(three), Error);
  EXPECT_THROW(Codec<Point>::decode({}), Error);
  EXPECT_THROW(Codec<std::vector<int>>::decode(three), Error);
}

static_assert(Encodable<int> && Encodable<std::string> && Encodable<std::vector<Point>>);
static_assert(!Encodable<Named> && !Encodable<const char*> && !Encodable<std::vector<std::string>>);
static_assert(!Encodable<std::string_view> && !Encodable<std::span<const int>>);

}  // namespace
}  // namespace procpool::ipc
