// Processes that are killed at every instruction of what they do with a queue, and in their sleep.
#include "tests/ipc/queue_kill.hpp"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <iostream>
#include <string>
#include <vector>

#include <boost/date_time/posix_time/posix_time_types.hpp>
#include <boost/interprocess/ipc/message_queue.hpp>
#include <gtest/gtest.h>

#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/shared_name.hpp"

namespace procpool::ipc {
namespace {

using test::eventually;
using test::exited;
using test::Forked;
using test::Gate;
using test::kPatience;
using test_queue::goes_on;
using test_queue::kCapacity;
using test_queue::kill_in;
using test_queue::Toll;

class QueueKill : public ::testing::Test {
 protected:
  void SetUp() override {
    if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  }
  void expect_none_stuck(const Toll& toll, std::size_t fewest_instructions) {
    EXPECT_EQ(toll.stuck, 0U);
    EXPECT_GE(toll.instructions, fewest_instructions);
    std::cout << toll.instructions << " instructions, " << toll.kills << " kills, " << toll.stuck
              << " stuck\n";
  }
};

const QueueOptions kNumbers{.capacity = kCapacity};
const QueueOptions kTexts{.capacity = kCapacity, .message_bytes = 8};
const std::string kLongText(30, 'x');  // three cells

void nothing(Queue<int>&) {}
void fill(Queue<int>& queue) {
  for (int i = 0; i < static_cast<int>(kCapacity); ++i) queue.push(i);
}

TEST_F(QueueKill, push_stops_nobody) {
  expect_none_stuck(kill_in<int>(kNumbers, nothing, [](auto& queue) { queue.push(1); }), 100);
}

TEST_F(QueueKill, pop_stops_nobody) {
  expect_none_stuck(kill_in<int>(kNumbers, fill, [](auto& queue) { queue.pop(); }), 100);
}

TEST_F(QueueKill, push_of_a_batch_stops_nobody) {
  constexpr std::array<int, kCapacity> kBatch{};
  expect_none_stuck(kill_in<int>(kNumbers, nothing, [&](auto& queue) { queue.push_batch(kBatch); }),
                    100);
}

TEST_F(QueueKill, pop_of_a_batch_stops_nobody) {
  std::array<int, kCapacity> batch{};
  expect_none_stuck(kill_in<int>(kNumbers, fill, [&](auto& queue) { queue.pop_batch(batch); }),
                    100);
}

TEST_F(QueueKill, loan_and_commit_stop_nobody) {
  expect_none_stuck(kill_in<int>(kNumbers, nothing, [](auto& queue) { queue.loan()->commit(); }),
                    100);
}

TEST_F(QueueKill, loan_that_is_not_used_stops_nobody) {
  expect_none_stuck(
      kill_in<int>(kNumbers, nothing, [](auto& queue) { static_cast<void>(queue.loan()); }), 100);
}

TEST_F(QueueKill, borrow_and_return_stop_nobody) {
  expect_none_stuck(
      kill_in<int>(kNumbers, fill, [](auto& queue) { static_cast<void>(queue.borrow()); }), 100);
}

TEST_F(QueueKill, push_of_a_message_of_several_cells_stops_nobody) {
  expect_none_stuck(
      kill_in<std::string>(kTexts, [](auto&) {}, [](auto& queue) { queue.push(kLongText); }), 100);
}

TEST_F(QueueKill, pop_of_a_message_of_several_cells_stops_nobody) {
  expect_none_stuck(
      kill_in<std::string>(
          kTexts, [](auto& queue) { queue.push(kLongText); }, [](auto& queue) { queue.pop(); }),
      100);
}

TEST_F(QueueKill, task_done_stops_nobody) {
  const QueueOptions joinable{.capacity = kCapacity, .joinable = true};
  expect_none_stuck(kill_in<int>(
                        joinable, fill,
                        [](auto& queue) {
                          queue.pop();
                          queue.task_done();
                        },
                        [](auto& queue) {
                          while (queue.try_pop()) queue.task_done();
                          return queue.join_for(kPatience);
                        }),
                    100);
}

TEST_F(QueueKill, close_leaves_it_open_or_closed) {
  expect_none_stuck(kill_in<int>(
                        kNumbers, fill, [](auto& queue) { queue.close(); },
                        [](auto& queue) {
                          if (!queue.closed()) return goes_on(queue);
                          std::size_t left = 0;
                          while (queue.pop()) ++left;
                          return left == kCapacity && !queue.push(1);
                        }),
                    10);
}

// A producer died with a slot in its hands: who recovers it is killed in turn. Whatever happens, it
// is counted once.
void die_with_a_loan(Queue<int>& queue) {
  Forked{[&] {
    const auto loan = queue.loan();
    ::kill(::getpid(), SIGKILL);
  }}.wait();
}
bool goes_on_and_has_counted_it(Queue<int>& queue) {
  return goes_on(queue) && queue.lost_by_producers() == 1;
}

TEST_F(QueueKill, recovery_stops_nobody_and_counts_each_loss_once) {
  expect_none_stuck(kill_in<int>(
                        kNumbers, die_with_a_loan, [](auto& queue) { queue.try_pop(); },
                        goes_on_and_has_counted_it),
                    1000);
}

void die_with_a_message(Queue<int>& queue) {
  fill(queue);
  Forked{[&] {
    const auto borrowed = queue.borrow();
    ::kill(::getpid(), SIGKILL);
  }}.wait();
}

TEST_F(QueueKill, recovery_of_a_consumers_slot_stops_nobody_and_counts_each_loss_once) {
  expect_none_stuck(
      kill_in<int>(
          kNumbers, die_with_a_message, [](auto& queue) { queue.try_push(1); },
          [](auto& queue) { return goes_on(queue) && queue.lost_by_consumers() == 1; }),
      1000);
}

// There is room for two processes, both of which are dead: a third one takes a dead one's number.
TEST_F(QueueKill, taking_the_place_of_a_dead_process_stops_nobody) {
  const QueueOptions two{.capacity = kCapacity, .processes = 2};
  const auto both_die = [](Queue<int>& queue) {
    die_with_a_loan(queue);
    Forked{[&] { queue.try_push(1); }}.wait();
  };
  expect_none_stuck(
      kill_in<int>(
          two, both_die, [](auto& queue) { queue.try_pop(); }, goes_on_and_has_counted_it),
      500);
}

TEST_F(QueueKill, waiting_for_a_message_stops_nobody) {
  Queue<int> queue{kCapacity};
  for (int i = 0; i < 5; ++i) {
    Forked victim{[&] { queue.pop(); }};
    ASSERT_TRUE(eventually([&] { return test::is_asleep(victim.pid()); }));
    Forked other{[&] { return queue.pop().value_or(-1); }};
    ASSERT_TRUE(eventually([&] { return test::is_asleep(other.pid()); }));
    victim.kill(SIGKILL);
    queue.push(i);
    EXPECT_EQ(other.wait(), exited(i));
    victim.wait();
  }
  EXPECT_TRUE(goes_on(queue));
}

TEST_F(QueueKill, waiting_for_room_stops_nobody) {
  Queue<int> queue{1};
  queue.push(0);
  for (int i = 0; i < 5; ++i) {
    Forked victim{[&] { queue.push(-1); }};
    ASSERT_TRUE(eventually([&] { return test::is_asleep(victim.pid()); }));
    Forked other{[&] { return queue.push(7) ? 0 : 1; }};
    ASSERT_TRUE(eventually([&] { return test::is_asleep(other.pid()); }));
    victim.kill(SIGKILL);
    victim.wait();
    queue.pop();
    EXPECT_EQ(other.wait(), exited(0));
  }
}

// Boost's queue, to which the same is done, must be found stuck.
TEST_F(QueueKill, control_of_boosts_message_queue_goes_red) {
  namespace bi = boost::interprocess;
  const std::string name = test::shared_name("boost").substr(1);
  const auto soon = [] {
    return boost::posix_time::microsec_clock::universal_time() +
           boost::posix_time::milliseconds{300};
  };
  std::size_t stuck = 0;
  std::optional<bi::message_queue> queue;
  const auto renew = [&] {
    bi::message_queue::remove(name.c_str());
    queue.emplace(bi::create_only, name.c_str(), kCapacity, sizeof(int));
  };
  const int number = 1;
  renew();
  queue->send(&number, sizeof number, 0);
  renew();
  test::kill_at_every_instruction([&] { queue->send(&number, sizeof number, 0); },
                                  [&](std::size_t) {
                                    try {
                                      if (!queue->timed_send(&number, sizeof number, 0, soon()))
                                        ++stuck;
                                    } catch (const bi::interprocess_exception&) {
                                      ++stuck;
                                    }
                                    renew();
                                  },
                                  25);
  EXPECT_GT(stuck, 0U);
  bi::message_queue::remove(name.c_str());
}

}  // namespace
}  // namespace procpool::ipc
