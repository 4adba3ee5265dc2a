// Writers and readers of a Broadcast that are killed: at every instruction, in their sleep, and at
// random.
#include <signal.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/broadcast.hpp"
#include "ipc/shared.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/single_step.hpp"

namespace procpool::ipc {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::exited;
using test::Forked;
using test::kill_at_every_instruction;
using test::kPatience;
using test::SteppedChild;
using test::Sweep;

using Progress = SteppedChild::Progress;

struct Message {
  std::uint64_t number = 0;
  std::array<std::uint64_t, 7> copies{};

  explicit Message(std::uint64_t n) : number{n} { copies.fill(n); }
  bool is_whole() const {
    for (const auto copy : copies) {
      if (copy != number) return false;
    }
    return true;
  }
};

constexpr std::size_t kCapacity = 4;

// A successor writes and reads the whole ring, so it meets whatever the victim left.
void fill_and_read(Broadcast<Message>& messages) {
  auto reader = messages.make_reader();
  auto writer = messages.make_writer_for(kPatience);
  ASSERT_TRUE(writer);
  const std::uint64_t first = messages.published();
  for (std::uint64_t i = 0; i < 2 * kCapacity; ++i) {
    ASSERT_TRUE(writer->publish(Message{first + i}));
    const auto message = reader.try_read();
    ASSERT_TRUE(message && message->is_whole());
    ASSERT_EQ(message->number, first + i);
  }
  ASSERT_EQ(reader.missed(), 0U);
}

// What a reader that was there before finds of it: whole messages, and each one accounted for.
void drain(Broadcast<Message>::Reader reader, std::uint64_t published) {
  const std::uint64_t start = reader.position();
  std::uint64_t seen = 0;
  while (const auto message = reader.try_read()) {
    ASSERT_TRUE(message->is_whole());
    ASSERT_EQ(message->number + 1, reader.position());
    ++seen;
  }
  ASSERT_EQ(reader.position(), published);
  ASSERT_EQ(seen + reader.missed(), published - start);
  ASSERT_GE(seen + 1, std::min<std::uint64_t>(kCapacity, published - start))
      << "no more than the oldest is lost";
}

TEST(BroadcastKill, of_a_writer_at_any_instruction_of_publish_stops_nobody) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  Broadcast<Message> messages{kCapacity};
  fill_and_read(messages);
  std::uint64_t deaths = messages.takeovers();
  const auto instructions = kill_at_every_instruction(
      [&] {
        auto writer = messages.make_writer();
        writer.publish(Message{messages.published()});
      },
      [&](std::size_t i) {
        drain(messages.make_reader(ReadFrom::oldest), messages.published());
        fill_and_read(messages);
        ASSERT_LE(messages.takeovers(), ++deaths);
        ASSERT_FALSE(testing::Test::HasFailure()) << "step " << i;
      });
  EXPECT_GT(instructions, 100U);
  EXPECT_GT(messages.takeovers(), 30U);
}

TEST(BroadcastKill, of_a_reader_at_any_instruction_costs_nobody_anything) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  Broadcast<Message> messages{kCapacity};
  fill_and_read(messages);
  const auto instructions = kill_at_every_instruction(
      [reader = messages.make_reader(ReadFrom::oldest)]() mutable { reader.read(); },
      [&](std::size_t i) {
        fill_and_read(messages);
        ASSERT_FALSE(testing::Test::HasFailure()) << "step " << i;
      });
  EXPECT_GT(instructions, 50U);
  EXPECT_EQ(messages.takeovers(), 0U);
}

TEST(BroadcastKill, of_a_reader_at_any_instruction_of_waiting_costs_no_other_reader_its_wake_up) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  Broadcast<Message> messages{kCapacity};
  fill_and_read(messages);
  for (Sweep sweep; sweep.next();) {
    const auto wait_for_one = [place = messages.make_reader()] {
      auto reader = place;
      return reader.read() ? 0 : 1;
    };
    Forked other{wait_for_one};
    SteppedChild victim{[&] { wait_for_one(); }};
    sweep.advance(victim);
    fill_and_read(messages);
    victim.kill();
    EXPECT_EQ(other.wait(), exited(0));
  }
}

TEST(BroadcastKill, of_a_writer_before_it_wakes_a_reader_delays_that_only) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  Broadcast<Message> messages{kCapacity};
  fill_and_read(messages);
  Forked reader{[place = messages.make_reader()]() mutable { return place.read() ? 0 : 1; }};
  ASSERT_TRUE(eventually([&] { return test::is_asleep(reader.pid()); }));
  const auto before = messages.published();
  SteppedChild victim{[&] { messages.make_writer().publish(Message{before}); }};
  while (messages.published() == before) ASSERT_EQ(victim.step(1), Progress::inside);
  victim.kill();
  EXPECT_EQ(reader.wait(), exited(0));
}

TEST(BroadcastKill, of_a_successor_at_any_instruction_of_taking_over_leaves_the_role_to_the_next) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  Broadcast<Message> messages{kCapacity};
  fill_and_read(messages);
  for (Sweep sweep; sweep.next();) {
    Forked dead{[&] {
      const auto writer = messages.make_writer();
      ::raise(SIGKILL);
    }};
    dead.wait();
    SteppedChild victim{[&] {
      auto writer = messages.make_writer();
      writer.publish(Message{messages.published()});
    }};
    sweep.advance(victim);
    victim.kill();
    fill_and_read(messages);
    ASSERT_FALSE(testing::Test::HasFailure()) << "step " << sweep.instructions();
  }
}

// Writers are killed and replaced again and again, under readers that must see every number once
// and in its order, or count it as missed.
TEST(BroadcastKill, storm_of_dying_writers_loses_and_repeats_nothing) {
  constexpr int kReaders = 3;
  constexpr int kKills = test::kSanitized ? 40 : 250;
  Broadcast<Message> messages{64};
  std::vector<Forked> readers;
  readers.reserve(kReaders);
  for (int i = 0; i < kReaders; ++i) {
    readers.emplace_back([reader = messages.make_reader(ReadFrom::oldest)]() mutable {
      std::uint64_t seen = 0;
      std::uint64_t next = 0;
      while (const auto message = reader.read()) {
        if (!message->is_whole()) return 1;
        if (message->number < next || message->number + 1 != reader.position()) return 2;
        next = message->number + 1;
        ++seen;
      }
      return seen + reader.missed() == reader.position() ? 0 : 3;
    });
  }
  std::mt19937 random{5};
  for (int i = 0; i < kKills; ++i) {
    const auto before = messages.published();
    Forked writer{[&] {
      auto role = messages.make_writer();
      for (;;) role.publish(Message{messages.published()});
    }};
    ASSERT_TRUE(eventually([&] { return messages.published() > before; })) << "kill " << i;
    std::this_thread::sleep_for(std::chrono::microseconds{random() % 2000});
    writer.kill(SIGKILL);
    writer.wait();
  }
  messages.close();
  for (Forked& reader : readers) EXPECT_EQ(reader.wait(), exited(0));
  EXPECT_EQ(messages.takeovers(), static_cast<std::uint64_t>(kKills - 1));
}

}  // namespace
}  // namespace procpool::ipc
