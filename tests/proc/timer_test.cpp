#include "proc/timer.hpp"

#include <poll.h>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;

bool is_readable(const Timer& timer) {
  return wait_ready(timer.fd(), POLLIN, Deadline::now()) != 0;
}

TEST(Timer, fires_once_and_not_before_its_time) {
  Timer timer;
  const Deadline due = Deadline::in(20ms);
  timer.set(due);
  EXPECT_EQ(timer.try_take(), 0U);
  wait_ready(timer.fd(), POLLIN, Deadline::never());
  EXPECT_TRUE(due.expired());
  EXPECT_EQ(timer.try_take(), 1U);
  EXPECT_EQ(timer.try_take(), 0U);
}

TEST(Timer, fires_at_once_when_the_deadline_has_passed) {
  Timer timer;
  timer.set(Deadline::at({}));
  EXPECT_TRUE(is_readable(timer));
  EXPECT_EQ(timer.try_take(), 1U);
}

TEST(Timer, counts_what_was_not_taken_in_time) {
  Timer timer;
  Timer later;
  timer.every(1ms);
  later.set(Deadline::in(10ms));
  wait_ready(later.fd(), POLLIN, Deadline::never());
  EXPECT_GE(timer.try_take(), 9U);
}

TEST(Timer, forgets_everything_when_it_is_cancelled) {
  Timer timer;
  timer.set(Deadline::now());
  ASSERT_TRUE(is_readable(timer));
  timer.cancel();
  EXPECT_FALSE(is_readable(timer));
  EXPECT_EQ(timer.try_take(), 0U);
}

TEST(Timer, never_is_no_time) {
  Timer timer;
  timer.set(Deadline::now());
  timer.set(Deadline::never());
  EXPECT_FALSE(is_readable(timer));
}

TEST(Timer, refuses_an_interval_of_nothing) {
  Timer timer;
  EXPECT_THROW(timer.every(0ns), Error);
}

}  // namespace
}  // namespace procpool::proc
