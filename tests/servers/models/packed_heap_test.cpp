#include "servers/models/detail/packed_heap.hpp"

#include <malloc.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/forked.hpp"
#include "tests/support/sanitizers.hpp"

namespace procpool::models::detail {
namespace {

using test::exited;
using test::Forked;

// What stays when every second thing goes.
std::vector<std::unique_ptr<std::string>> make_holes() {
  std::vector<std::unique_ptr<std::string>> all;
  for (std::size_t i = 0; i < 4000; ++i)
    all.push_back(std::make_unique<std::string>(20 + i % 900, 'x'));
  for (std::size_t i = 0; i < all.size(); i += 2) all[i].reset();
  return all;
}

// Of a hundred things that a child allocates: 25,000 bytes.
int pages_that_a_child_uses() {
  Forked child{[] {
    std::vector<std::unique_ptr<std::string>> all;
    std::set<std::uintptr_t> pages;
    for (std::size_t i = 0; i < 100; ++i) {
      all.push_back(std::make_unique<std::string>(20 + i * 4, 'x'));
      pages.insert(reinterpret_cast<std::uintptr_t>(all.back()->data()) / 4096);
    }
    return static_cast<int>(pages.size());
  }};
  return child.wait().number;
}

TEST(PackedHeap, lets_a_child_allocate_side_by_side) {
  if (test::kSanitized) GTEST_SKIP() << "another allocator";
  const auto kept = make_holes();
  const int scattered = pages_that_a_child_uses();
  PackedHeap heap;
  heap.pack();
  const int packed = pages_that_a_child_uses();
  EXPECT_GT(scattered, 12);
  EXPECT_LE(packed, 10);
}

TEST(PackedHeap, takes_no_more_when_it_is_packed_again_and_again) {
  if (test::kSanitized) GTEST_SKIP() << "another allocator";
  const auto kept = make_holes();
  PackedHeap heap;
  heap.pack();
  const std::size_t size = ::mallinfo2().arena;
  for (int i = 0; i < 20; ++i) {
    heap.loosen();
    const auto more = make_holes();
    heap.pack();
  }
  EXPECT_LT(::mallinfo2().arena, size + (std::size_t{8} << 20U)) << "a MB of holes each time";
}

}  // namespace
}  // namespace procpool::models::detail
