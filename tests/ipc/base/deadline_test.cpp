#include "ipc/base/deadline.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace procpool {
namespace {

using namespace std::chrono_literals;

TEST(Deadline, never_does_not_expire) {
  EXPECT_TRUE(Deadline::never().is_never());
  EXPECT_FALSE(Deadline::never().expired());
  EXPECT_EQ(Deadline::never().remaining(), Deadline::Clock::duration::max());
  EXPECT_EQ(Deadline::never().poll_timeout(), -1);
}

TEST(Deadline, of_now_has_expired) {
  const Deadline now = Deadline::now();
  EXPECT_TRUE(now.expired());
  EXPECT_EQ(now.remaining(), 0ns);
  EXPECT_EQ(now.poll_timeout(), 0);
}

TEST(Deadline, in_the_past_has_nothing_left) {
  const Deadline past = Deadline::in(-1h);
  EXPECT_TRUE(past.expired());
  EXPECT_EQ(past.remaining(), 0ns);
  EXPECT_EQ(past.poll_timeout(), 0);
}

TEST(Deadline, in_the_future_has_not_expired) {
  const Deadline soon = Deadline::in(1h);
  EXPECT_FALSE(soon.expired());
  EXPECT_GT(soon.remaining(), 59min);
  EXPECT_LE(soon.remaining(), 1h);
}

TEST(Deadline, rounds_a_poll_up_so_that_no_wait_ends_early) {
  const int timeout = Deadline::in(10ms + 1ns).poll_timeout();
  EXPECT_GE(timeout, 1);
  EXPECT_EQ(Deadline::in(1us).poll_timeout() | 1, 1);
  EXPECT_GE(Deadline::in(1h).poll_timeout(), 3'599'000);
}

TEST(Deadline, too_far_for_the_clock_is_never) {
  EXPECT_TRUE(Deadline::in(Deadline::Clock::duration::max()).is_never());
  const auto before_the_clock_began = Deadline::Clock::time_point{-1h};
  EXPECT_EQ(Deadline::after(before_the_clock_began, 2h).time().time_since_epoch(), 1h);
}

TEST(Deadline, too_far_for_poll_is_the_longest_poll) {
  EXPECT_EQ(Deadline::in(24h * 365).poll_timeout(), std::numeric_limits<int>::max());
}

TEST(Deadline, is_ordered_by_time_and_never_comes_last) {
  const auto start = Deadline::Clock::now();
  EXPECT_LT(Deadline::at(start), Deadline::after(start, 1ns));
  EXPECT_LT(Deadline::after(start, 24h * 365), Deadline::never());
  EXPECT_EQ(Deadline::after(start, 1s), Deadline::at(start + 1s));
}

}  // namespace
}  // namespace procpool
