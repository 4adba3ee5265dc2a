#include "ipc/shared_array.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <span>
#include <string>
#include <type_traits>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/channel.hpp"
#include "ipc/shared.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/shared_name.hpp"

namespace procpool::ipc {
namespace {

using test::exited;
using test::Forked;
using test::shared_name;

struct Point {
  int x = 3;
  int y = 4;
};
static_assert(std::ranges::contiguous_range<SharedArray<Point>>);
static_assert(!std::is_copy_constructible_v<SharedArray<int>>);
static_assert(std::is_move_constructible_v<SharedArray<int>>);

UniqueFd copy_of(int fd) {
  return UniqueFd{::fcntl(fd, F_DUPFD_CLOEXEC, 0)};
}

template <typename Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

TEST(SharedArray, begins_as_zero_or_as_its_elements_are_constructed) {
  const SharedArray<long> numbers{1000};
  EXPECT_EQ(numbers.size(), 1000U);
  EXPECT_EQ(std::accumulate(numbers.begin(), numbers.end(), 0L), 0);
  const SharedArray<Point> points{3};
  for (const Point& point : points) EXPECT_EQ(point.x * 10 + point.y, 34);
}

TEST(SharedArray, is_shared_with_children) {
  const SharedArray<int> numbers{100};
  Forked child{[&] { std::iota(numbers.begin(), numbers.end(), 0); }};
  EXPECT_EQ(child.wait(), exited(0));
  EXPECT_EQ(numbers[0], 0);
  EXPECT_EQ(numbers[99], 99);
  EXPECT_EQ(std::span{numbers}.back(), 99);
}

TEST(SharedArray, by_one_name_is_one_array) {
  const auto first = SharedArray<int>::open(shared_name("array"), 10);
  first[9] = 5;
  EXPECT_EQ(SharedArray<int>::open(shared_name("array"), 10)[9], 5);
}

TEST(SharedArray, in_use_with_another_count_or_type_is_an_error) {
  const auto array = SharedArray<int>::open(shared_name("array"), 10);
  EXPECT_THROW(SharedArray<int>::open(shared_name("array"), 11), Error);
  EXPECT_THROW(SharedArray<float>::open(shared_name("array"), 10), Error);
  EXPECT_THROW((Shared<std::array<int, 10>>::open(shared_name("array"))), Error);
}

TEST(SharedArray, may_be_sent_and_knows_its_size) {
  auto [left, right] = make_channel();
  Forked receiver{[&, &side = right] {
    std::array<std::byte, 8> buffer;
    auto received = side.receive(buffer);
    const auto array = SharedArray<int>::attach(std::move(received.descriptors[0]));
    array[array.size() - 1] = 7;
    return array.size() == 12345 ? 0 : 1;
  }};
  const SharedArray<int> array{12345};
  left.send(std::as_bytes(std::span{"x"}), {{array.fd()}});
  EXPECT_EQ(receiver.wait(), exited(0));
  EXPECT_EQ(array[12344], 7);
}

TEST(SharedArray, of_another_type_is_not_attached) {
  const SharedArray<int> array{4};
  const Shared<int> single;
  EXPECT_THROW(SharedArray<float>::attach(copy_of(array.fd())), Error);
  EXPECT_THROW(SharedArray<int>::attach(copy_of(single.fd())), Error);
  EXPECT_THROW(SharedArray<int>::attach(UniqueFd{}), Error);
}

TEST(SharedArray, must_have_elements_and_not_too_many) {
  EXPECT_EQ(error_of([] { const SharedArray<int> array{0}; }),
            "make shared array \"0\": it must have one element or more");
  EXPECT_THROW(SharedArray<int>::open(shared_name("array"), 0), Error);
  EXPECT_THROW(SharedArray<int>{SIZE_MAX / 2}, Error);
  EXPECT_THROW(SharedArray<int>{SIZE_MAX / 4 + 2}, Error) << "whose size in bytes overflows";
}

TEST(SharedArray, may_ask_for_huge_pages) {
  constexpr std::size_t kCount = 3'000'000;  // of which the last huge page is not full
  SharedArray<long> array{kCount, {.huge_pages = true}};
  EXPECT_EQ(array.size(), kCount);
  array[kCount - 1] = 9;
  const auto same = SharedArray<long>::attach(copy_of(array.fd()));
  EXPECT_EQ(same.size(), kCount);
  EXPECT_EQ(same[kCount - 1], 9);
  array = SharedArray<long>{1};
  EXPECT_EQ(same[kCount - 1], 9);
  const auto named = SharedArray<long>::open(shared_name("huge"), kCount, {.huge_pages = true});
  named[kCount - 1] = 10;
  EXPECT_EQ(SharedArray<long>::open(shared_name("huge"), kCount)[kCount - 1], 10);
}

}  // namespace
}  // namespace procpool::ipc
