// The kill tests of the queue on builds of it in which one commit was moved: they must go red, or
// they would prove nothing. CMakeLists.txt says what is wrong in each.
#include <array>

#include <gtest/gtest.h>

#include "tests/ipc/queue_kill.hpp"
#include "tests/support/sanitizers.hpp"

namespace procpool::ipc {
namespace {

using test_queue::goes_on;
using test_queue::kCapacity;
using test_queue::kill_in;

TEST(QueueMutant, is_found_stuck) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  const QueueOptions options{.capacity = kCapacity};
  constexpr std::array<int, kCapacity> kBatch{};
  std::array<int, kCapacity> batch{};
  struct Stuck {};
  const auto must_go_on = [](Queue<int>& queue) { return goes_on(queue) ? true : throw Stuck{}; };
  const auto kill_in_both = [&] {
    kill_in<int>(options, [](auto&) {}, [](auto& queue) { queue.push(1); }, must_go_on);
    kill_in<int>(
        options, [&](auto& queue) { queue.push_batch(kBatch); },
        [&](auto& queue) { queue.pop_batch(batch); }, must_go_on);
  };
  EXPECT_THROW(kill_in_both(), Stuck);
}

}  // namespace
}  // namespace procpool::ipc
