// Processes that open, use and leave one name at the same time, and are killed while they do.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <list>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/mutex.hpp"
#include "ipc/shared.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/shared_name.hpp"
#include "tests/support/single_step.hpp"

namespace procpool::ipc {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::exited;
using test::Forked;
using test::Gate;
using test::kill_at_every_instruction;
using test::shared_name;

struct Board {
  static constexpr int kWhole = 1234567;
  std::atomic<int> users = 0;
  std::atomic<int> whole = kWhole;  // the last to be constructed: anything else is a half-made one
};

TEST(NamedMemoryKill, racing_openers_all_get_the_same_one) {
  constexpr int kOpeners = 6;
  constexpr int kRounds = test::kSanitized ? 10 : 60;
  for (int round = 0; round < kRounds; ++round) {
    const auto name = shared_name("race");
    Gate start;
    Gate done;
    std::vector<Forked> openers;
    openers.reserve(kOpeners);
    for (int i = 0; i < kOpeners; ++i) {
      openers.emplace_back([&] {
        start.wait();
        const auto board = Shared<Board>::open(name);
        if (board->whole != Board::kWhole) return 1;
        if (++board->users == kOpeners) done.open();
        return done.wait(Deadline::in(test::kPatience)) ? 0 : 2;
      });
    }
    // In every second round they race for a name that killed users have left.
    if (round % 2 == 1) {
      Forked dead{[&] {
        const auto board = Shared<Board>::open(name);
        board->users = 1000;
        ::raise(SIGKILL);
      }};
      dead.wait();
    }
    start.open();
    for (Forked& opener : openers) ASSERT_EQ(opener.wait(), exited(0)) << "round " << round;
    const auto last = Shared<Board>::open(name);
    EXPECT_EQ(last->users, 0) << "what was left is replaced";
  }
}

TEST(NamedMemoryKill, comings_and_goings_and_deaths_never_show_a_half_made_one) {
  constexpr int kProcesses = 4;
  constexpr int kKills = test::kSanitized ? 40 : 300;
  const auto name = shared_name("churn");
  const Shared<std::atomic<long>> opened;
  const auto start_one = [&] {
    return Forked{[&] {
      for (;;) {
        const auto board = Shared<Board>::open(name);
        if (board->whole != Board::kWhole) return 1;
        ++board->users;
        ++*opened;
      }
    }};
  };
  std::list<Forked> children;
  for (int i = 0; i < kProcesses; ++i) children.push_back(start_one());
  std::mt19937 random{11};
  for (int i = 0; i < kKills; ++i) {
    const long before = *opened;
    ASSERT_TRUE(eventually([&] { return *opened > before; })) << "after " << i << " kills";
    std::this_thread::sleep_for(std::chrono::microseconds{random() % 1000});
    Forked& victim = children.front();
    victim.kill(SIGKILL);
    ASSERT_EQ(victim.wait(), test::killed_by(SIGKILL));
    children.pop_front();
    children.push_back(start_one());
  }
  children.clear();
  {
    const auto board = Shared<Board>::open(name);
  }
  EXPECT_FALSE(std::filesystem::exists("/dev/shm/procpool." + name.substr(1)));
}

// Opening and leaving is some thousands of instructions, so every stride-th is tried.
void open_and_leave_at_many_instructions(std::size_t stride) {
  const auto name = shared_name("steps");
  const auto open_and_leave = [&] { Shared<Board>::open(name)->users = 1; };
  open_and_leave();
  const auto instructions = kill_at_every_instruction(
      open_and_leave,
      [&](std::size_t i) {
        const auto board = Shared<Board>::open(name);
        ASSERT_EQ(board->whole, Board::kWhole) << "step " << i;
        ASSERT_EQ(board->users, 0) << "step " << i << ": what the dead left is replaced";
      },
      stride);
  EXPECT_GT(instructions, 1000U);
}

TEST(NamedMemoryKill, may_be_opened_whenever_its_only_user_died) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  open_and_leave_at_many_instructions(41);
}

}  // namespace
}  // namespace procpool::ipc
