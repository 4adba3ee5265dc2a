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

#include "ipc/base/error.hpp"
#include "ipc/mutex.hpp"
#include "ipc/named_segments.hpp"
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
using test::stride_unless_torture;

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

TEST(NamedMemoryKill, may_be_opened_whenever_its_only_user_died) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  const auto name = shared_name("steps");
  const auto open_and_leave = [&] { Shared<Board>::open(name)->users = 1; };
  open_and_leave();
  const auto instructions = kill_at_every_instruction(open_and_leave, [&](std::size_t i) {
    const auto board = Shared<Board>::open(name);
    ASSERT_EQ(board->whole, Board::kWhole) << "step " << i;
    ASSERT_EQ(board->users, 0) << "step " << i << ": what the dead left is replaced";
  });
  EXPECT_GT(instructions, 1000U);
}

TEST(NamedMemoryKill, stays_whole_for_others_whenever_one_user_died) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  const auto name = shared_name("steps");
  const auto open_and_leave = [&] { Shared<Board>::open(name)->users = 1; };
  const auto board = Shared<Board>::open(name);
  open_and_leave();
  board->users = 1000;
  const auto instructions = kill_at_every_instruction(open_and_leave, [&](std::size_t i) {
    const auto same = Shared<Board>::open(name);
    ASSERT_EQ(same.get()->whole, Board::kWhole) << "step " << i;
    ++same->users;
    ASSERT_EQ(board->users, same->users) << "step " << i << ": it is the same one";
  });
  EXPECT_GT(instructions, 500U);
}

void leave_a_dead_one(const std::string& name, const SharedMemoryOptions& options) {
  Forked user{[&] {
    const auto board = Shared<Board>::open(name, options);
    board->users = 1000;
    board->whole = 0;
    ::raise(SIGKILL);
  }};
  user.wait();
}

TEST(NamedMemoryKill, may_be_opened_whenever_who_removes_a_dead_one_died) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  const auto name = shared_name("steps");
  const auto remove = [&] { remove_named_segment(name); };
  leave_a_dead_one(name, {});
  remove();
  leave_a_dead_one(name, {});
  const auto instructions = kill_at_every_instruction(remove, [&](std::size_t i) {
    {
      const auto board = Shared<Board>::open(name);
      ASSERT_EQ(board->whole, Board::kWhole) << "step " << i;
      ASSERT_FALSE(remove_named_segment(name)) << "step " << i;
    }
    leave_a_dead_one(name, {});
  });
  EXPECT_GT(instructions, 300U);
  remove();
}

// A user who cannot remove the dead one begins it anew in its place, and is killed in that.
TEST(NamedMemoryKill, may_be_opened_whenever_who_begins_it_anew_died) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  if (::geteuid() != 0) GTEST_SKIP() << "only the superuser can become another user";
  constexpr uid_t kStranger = 54321;
  constexpr SharedMemoryOptions kForAll{.mode = 0666};
  const auto name = shared_name("steps");
  const auto become_stranger = [] {
    if (::setresuid(kStranger, kStranger, kStranger) < 0) throw_errno("setresuid");
  };
  const auto open_and_leave = [&] { Shared<Board>::open(name, kForAll)->users = 1; };
  open_and_leave();
  leave_a_dead_one(name, kForAll);
  const auto instructions = kill_at_every_instruction(
      [&] {
        become_stranger();
        open_and_leave();
      },
      [&](std::size_t i) {
        Forked survivor{[&] {
          become_stranger();
          const auto board = Shared<Board>::open(name, kForAll);
          return board->whole == Board::kWhole && board->users == 0 ? 0 : 1;
        }};
        ASSERT_EQ(survivor.wait(), exited(0)) << "step " << i;
        leave_a_dead_one(name, kForAll);
      },
      stride_unless_torture(5));
  EXPECT_GT(instructions, 1000U);
  remove_named_segment(name);
}

}  // namespace
}  // namespace procpool::ipc
