#include "servers/models/inheritance.hpp"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/shared.hpp"
#include "tests/support/children.hpp"
#include "tests/support/eventually.hpp"

namespace procpool::models {
namespace {

using test::eventually;

// This program again, and of it one test.
std::vector<std::string> argv_of(const std::string& test) {
  return {"/proc/self/exe", "--gtest_also_run_disabled_tests", "--gtest_filter=" + test};
}

TEST(Inheritance, has_the_memory_of_the_program_by_its_names) {
  const ipc::Shared<int> seven;
  const ipc::Shared<int> eight;
  *seven = 7;
  *eight = 8;
  Successor next{argv_of("Inheritance.DISABLED_is_taken"),
                 {},
                 {.memory = {{"seven", seven.fd()}, {"eight", eight.fd()}}}};
  auto outcome = Successor::Outcome::pending;
  EXPECT_TRUE(eventually([&] {
    outcome = next.step();
    return outcome != Successor::Outcome::pending;
  }));
  EXPECT_EQ(outcome, Successor::Outcome::relieved) << next.problem();
  EXPECT_EQ(*seven, 70);
  EXPECT_TRUE(test::await_no_children());
}

// In the program that the test above starts.
TEST(Inheritance, DISABLED_is_taken) {
  auto predecessor = Predecessor::of_this_process();
  ASSERT_TRUE(predecessor);
  Inheritance all = predecessor->take();
  const auto seven = ipc::Shared<int>::attach(std::move(all.memory["seven"]));
  const auto eight = ipc::Shared<int>::attach(std::move(all.memory["eight"]));
  if (all.memory.size() != 2 || *seven != 7 || *eight != 8)
    return predecessor->decline("this is not what was left");
  *seven *= 10;
  predecessor->relieve();
}

}  // namespace
}  // namespace procpool::models
