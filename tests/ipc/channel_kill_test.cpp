// Processes that are killed at the instructions of sending and receiving large messages.
#include <algorithm>
#include <cstddef>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/channel.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/single_step.hpp"

namespace procpool::ipc {
namespace {

using test::kill_at_every_instruction;
using test::stride_unless_torture;

using Outcome = Channel::Outcome;

constexpr std::size_t kLarge = 100'000;  // bytes: more than travel in the socket

std::vector<std::byte> large_message(std::byte filling) {
  return std::vector<std::byte>(kLarge, filling);
}

TEST(ChannelKill, has_a_large_message_whole_or_not_at_all_whenever_its_sender_died) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  auto [left, right] = make_channel();
  const auto torn = large_message(std::byte{1});
  const auto next = large_message(std::byte{2});
  std::vector<std::byte> received;
  left.send(torn);
  right.receive(received);
  std::size_t sent = 0;
  const auto instructions = kill_at_every_instruction(
      [&, &side = left] { side.send(torn); },
      [&, &from = left, &to = right](std::size_t i) {
        ASSERT_EQ(from.try_send(next), Channel::SendResult::sent) << "step " << i;
        ASSERT_EQ(to.try_receive(received).outcome, Outcome::message) << "step " << i;
        if (received == torn) {
          ++sent;
          ASSERT_EQ(to.try_receive(received).outcome, Outcome::message) << "step " << i;
        }
        ASSERT_EQ(received, next) << "step " << i;
        ASSERT_EQ(to.try_receive(received).outcome, Outcome::empty) << "step " << i;
      });
  EXPECT_GT(instructions, 100U);
  EXPECT_GT(sent, 0U);
}

TEST(ChannelKill, loses_at_most_the_large_message_that_a_dead_receiver_had) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  auto [left, right] = make_channel();
  const auto first = large_message(std::byte{1});
  const auto next = large_message(std::byte{2});
  std::vector<std::byte> received;
  left.send(first);
  right.receive(received);
  std::size_t lost = 0;
  const auto instructions = kill_at_every_instruction(
      [&, &from = left, &to = right] {
        from.send(first);
        from.send(next);
        to.receive(received);  // which is large already: zeroing it would be a step for each byte
      },
      [&, &from = left, &to = right](std::size_t i) {
        const std::byte end{9};
        from.send(std::span{&end, 1});

        bool had_first = false;
        bool had_next = false;
        for (;;) {
          ASSERT_EQ(to.try_receive(received).outcome, Outcome::message) << "step " << i;
          if (received.size() == 1) break;
          ASSERT_FALSE(had_next) << "step " << i;
          (received == first ? had_first : had_next) = true;
          ASSERT_TRUE(received == first || received == next) << "step " << i;
        }
        if (had_next && !had_first) ++lost;
        received.resize(kLarge);
      },
      stride_unless_torture(53));
  EXPECT_GT(instructions, 200U);
  EXPECT_GT(lost, 0U);
}

}  // namespace
}  // namespace procpool::ipc
