#include "proc/alarm.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "proc/interval_timer.hpp"
#include "tests/proc/telling.hpp"
#include "tests/support/forked.hpp"

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;
using test::Forked;

void await(int fd) {
  wait_ready(fd, POLLIN, Deadline::never());
}

TEST(Alarm, rings_once_as_data) {
  const Deadline due = Deadline::in(1s);
  Alarm alarm{1s};
  EXPECT_FALSE(alarm.try_take());
  await(alarm.fd());
  EXPECT_TRUE(due.expired());
  EXPECT_TRUE(alarm.try_take());
  EXPECT_FALSE(alarm.try_take());
}

TEST(Alarm, is_off_when_its_scope_ends) {
  {
    const Alarm alarm{3600s};
  }
  EXPECT_EQ(::alarm(0), 0U);
}

TEST(Alarm, leaves_no_signal_that_would_be_fatal) {
  Forked child{[] {
    {
      const Alarm alarm{1s};
      await(alarm.fd());
    }
    return 0;  // SIGALRM is unblocked again
  }};
  EXPECT_EQ(child.wait(), test::exited(0));
}

TEST(Alarm, is_the_only_one_of_its_process) {
  {
    const Alarm alarm{3600s};
    EXPECT_THROW(Alarm{5s}, Error);
    EXPECT_THROW(IntervalTimer{IntervalTimer::Clock::real}, Error);
    EXPECT_GT(::alarm(3600), 3000U) << "the first goes on";
  }
  EXPECT_NO_THROW(Alarm{5s});
}

TEST(Alarm, refuses_times_that_alarm_cannot_take) {
  for (const auto after : {0s, -1s, std::chrono::seconds::max()}) EXPECT_THROW(Alarm{after}, Error);
  EXPECT_EQ(::alarm(0), 0U);
}

TEST(Alarm, stays_with_the_parent) {
  Alarm alarm{3600s};
  Forked child{[&] {
    if (error_of([&] { alarm.try_take(); }) == "no error") return 1;
    return ::alarm(0) == 0 ? 0 : 2;
  }};
  EXPECT_EQ(child.wait(), test::exited(0));
}

TEST(IntervalTimer, fires_once_or_again_and_again) {
  IntervalTimer timer{IntervalTimer::Clock::real};
  timer.set(1ms);
  await(timer.fd());
  EXPECT_TRUE(timer.try_take());
  EXPECT_EQ(timer.remaining(), 0us);
  timer.set(1ms, 1ms);
  for (int i = 0; i < 3; ++i) {
    await(timer.fd());
    EXPECT_TRUE(timer.try_take());
  }
}

TEST(IntervalTimer, measures_the_time_that_the_process_spends) {
  for (const auto clock : {IntervalTimer::Clock::cpu, IntervalTimer::Clock::user}) {
    IntervalTimer timer{clock};
    timer.set(100ms);
    EXPECT_EQ(wait_ready(timer.fd(), POLLIN, Deadline::in(110ms)), 0) << "asleep it spends none";
    while (!timer.try_take()) {
    }
  }
}

TEST(IntervalTimer, knows_what_remains_and_can_be_cancelled) {
  IntervalTimer timer{IntervalTimer::Clock::real};
  EXPECT_EQ(timer.remaining(), 0us);
  timer.set(1h);
  EXPECT_GT(timer.remaining(), 0us);
  EXPECT_LE(timer.remaining(), 1h);
  timer.cancel();
  EXPECT_EQ(timer.remaining(), 0us);
}

TEST(IntervalTimer, does_not_take_less_than_a_microsecond_for_never) {
  IntervalTimer timer{IntervalTimer::Clock::real};
  timer.set(1ns);
  await(timer.fd());
  EXPECT_TRUE(timer.try_take());
}

TEST(IntervalTimer, leaves_no_signal_that_would_be_fatal) {
  Forked child{[] {
    {
      IntervalTimer timer{IntervalTimer::Clock::real};
      timer.set(1ms, 1ms);
      await(timer.fd());
    }
    itimerval time{};
    ::getitimer(ITIMER_REAL, &time);
    return time.it_value.tv_sec == 0 && time.it_value.tv_usec == 0 ? 0 : 1;
  }};
  EXPECT_EQ(child.wait(), test::exited(0));
}

TEST(IntervalTimer, is_the_only_one_of_its_clock) {
  IntervalTimer timer{IntervalTimer::Clock::real};
  timer.set(1h);
  EXPECT_THROW(IntervalTimer{IntervalTimer::Clock::real}, Error);
  EXPECT_THROW(Alarm{1s}, Error);
  EXPECT_NO_THROW(IntervalTimer{IntervalTimer::Clock::cpu});
  EXPECT_GT(timer.remaining(), 0us);
}

TEST(IntervalTimer, refuses_times_of_nothing) {
  IntervalTimer timer{IntervalTimer::Clock::real};
  EXPECT_THROW(timer.set(0ns), Error);
  EXPECT_THROW(timer.set(-1ns), Error);
  EXPECT_THROW(timer.set(1s, -1ns), Error);
}

}  // namespace
}  // namespace procpool::proc
