#include "ipc/shared.hpp"

#include <array>
#include <atomic>
#include <string>
#include <type_traits>
#include <utility>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/channel.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/shared_name.hpp"

namespace procpool::ipc {
namespace {

using test::exited;
using test::Forked;
using test::shared_name;

struct Counters {
  std::atomic<int> made = 7;
  std::atomic<int> count = 0;
};
struct OfTheSameSize {
  std::array<int, 2> numbers{};
};

struct WithVirtual {
  virtual void f() {}
};
static_assert(Shareable<Counters>);
static_assert(Shareable<int>);
static_assert(!Shareable<int*>);
static_assert(!Shareable<int&>);
static_assert(!Shareable<std::string>);
static_assert(!Shareable<WithVirtual>);
static_assert(!std::is_copy_constructible_v<Shared<int>>);
static_assert(std::is_move_constructible_v<Shared<int>>);

TEST(Shared, is_constructed_and_shared_with_children) {
  const Shared<Counters> counters;
  EXPECT_EQ(counters->made, 7);
  Forked child{[&] { ++counters->count; }};
  EXPECT_EQ(child.wait(), exited(0));
  EXPECT_EQ((*counters).count, 1);
  EXPECT_EQ(counters.get()->count, 1);
}

TEST(Shared, by_one_name_is_one_object) {
  const auto first = Shared<Counters>::open(shared_name("counters"));
  first->made = 8;
  const auto second = Shared<Counters>::open(shared_name("counters"));
  EXPECT_EQ(second->made, 8) << "constructed once";
  Forked child{[] { ++Shared<Counters>::open(shared_name("counters"))->count; }};
  EXPECT_EQ(child.wait(), exited(0));
  EXPECT_EQ(first->count, 1);
}

TEST(Shared, under_a_name_of_another_type_is_an_error) {
  const auto counters = Shared<Counters>::open(shared_name("counters"));
  EXPECT_THROW(Shared<OfTheSameSize>::open(shared_name("counters")), Error);
}

TEST(Shared, may_be_sent_to_a_process_that_was_there_before_it) {
  auto [left, right] = make_channel();
  Forked receiver{[&, &side = right] {
    std::array<std::byte, 8> buffer;
    auto received = side.receive(buffer);
    const auto counters = Shared<Counters>::attach(std::move(received.descriptors[0]));
    counters->count = counters->made.load() + 1;
  }};
  const Shared<Counters> counters;
  left.send(std::as_bytes(std::span{"x"}), {{counters.fd()}});
  EXPECT_EQ(receiver.wait(), exited(0));
  EXPECT_EQ(counters->count, 8);
}

TEST(Shared, of_another_type_is_not_attached) {
  const Shared<OfTheSameSize> other;
  EXPECT_THROW(Shared<Counters>::attach(UniqueFd{::dup(other.fd())}), Error);
}

TEST(Shared, may_be_moved) {
  Shared<Counters> first;
  first->count = 3;
  const Shared<Counters> second{std::move(first)};
  EXPECT_EQ(second->count, 3);
}

TEST(Shared, lies_aligned_and_outlives_its_other_holders) {
  struct alignas(64) Wide {
    std::atomic<int> value = 5;
  };
  const Shared<Wide> wide;
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(wide.get()) % 64, 0U);
  const auto same = [&] { return Shared<Wide>::attach(UniqueFd{::dup(wide.fd())}); }();
  EXPECT_EQ(same->value, 5);
}

}  // namespace
}  // namespace procpool::ipc
