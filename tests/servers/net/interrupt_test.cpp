#include "servers/net/interrupt.hpp"

#include <functional>
#include <optional>

#include <gtest/gtest.h>

namespace procpool::net {
namespace {

struct Waiter final : Interrupt::Waiter {
  void interrupted() override {
    ++times;
    if (then) then();
  }
  int times = 0;
  std::function<void()> then;
};

TEST(Interrupt, reaches_everything_that_waits_once) {
  Interrupt interrupt;
  Waiter first;
  Waiter second;
  interrupt.add(first);
  interrupt.add(second);
  EXPECT_FALSE(interrupt.raised());
  interrupt.raise();
  interrupt.raise();
  EXPECT_TRUE(interrupt.raised());
  EXPECT_EQ(first.times, 1);
  EXPECT_EQ(second.times, 1);
}

TEST(Interrupt, forgets_what_has_stopped_waiting) {
  Interrupt interrupt;
  std::optional<Waiter> gone{std::in_place};
  Waiter stays;
  interrupt.add(*gone);
  interrupt.add(stays);
  gone.reset();
  interrupt.raise();
  EXPECT_EQ(stays.times, 1);
}

TEST(Interrupt, lets_one_waiter_end_another) {
  Interrupt interrupt;
  std::optional<Waiter> second{std::in_place};
  Waiter first;
  first.then = [&] { second.reset(); };
  interrupt.add(first);
  interrupt.add(*second);
  interrupt.raise();
  EXPECT_EQ(first.times, 1);
  EXPECT_FALSE(second.has_value());
}

}  // namespace
}  // namespace procpool::net
