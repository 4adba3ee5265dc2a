#include "ipc/broadcast.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
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
using test::killed_by;
using test::shared_name;

// All of its words say the same, unless it is a mixture of two messages.
struct Wide {
  std::array<std::uint64_t, 11> words{};
  std::array<unsigned char, 3> tail{};

  explicit Wide(std::uint64_t value) {
    words.fill(value);
    tail.fill(static_cast<unsigned char>(value));
  }
  bool is_whole() const {
    for (const auto word : words) {
      if (word != words[0]) return false;
    }
    for (const auto byte : tail) {
      if (byte != static_cast<unsigned char>(words[0])) return false;
    }
    return true;
  }
};

static_assert(std::is_copy_constructible_v<Broadcast<int>::Reader>);
static_assert(!std::is_copy_constructible_v<Broadcast<int>::Writer>);
static_assert(std::is_move_constructible_v<Broadcast<int>>);

TEST(Broadcast, is_read_in_order_by_every_reader) {
  Broadcast<int> numbers{8};
  auto first = numbers.make_reader();
  auto second = numbers.make_reader();
  auto writer = numbers.make_writer();
  EXPECT_FALSE(first.ready());
  for (const int number : {1, 2, 3}) EXPECT_TRUE(writer.publish(number));
  EXPECT_TRUE(first.ready());
  for (auto* reader : {&first, &second}) {
    for (const int number : {1, 2, 3}) EXPECT_EQ(reader->try_read(), number);
    EXPECT_EQ(reader->try_read(), std::nullopt);
    EXPECT_EQ(reader->missed(), 0U);
    EXPECT_EQ(reader->position(), 3U);
  }
  EXPECT_EQ(numbers.published(), 3U);
}

TEST(Broadcast, tells_a_slow_reader_how_many_it_missed) {
  Broadcast<int> numbers{4};
  auto reader = numbers.make_reader();
  auto writer = numbers.make_writer();
  for (int i = 0; i < 10; ++i) writer.publish(i);
  for (const int number : {6, 7, 8, 9}) EXPECT_EQ(reader.try_read(), number);
  EXPECT_EQ(reader.missed(), 6U);
  EXPECT_EQ(reader.try_read(), std::nullopt);
}

TEST(Broadcast, is_read_from_now_or_from_the_oldest_by_choice) {
  Broadcast<int> numbers{4};
  auto writer = numbers.make_writer();
  EXPECT_EQ(numbers.make_reader(ReadFrom::oldest).try_read(), std::nullopt);
  writer.publish(0);
  EXPECT_EQ(numbers.make_reader(ReadFrom::oldest).try_read(), 0);
  for (int i = 1; i < 10; ++i) writer.publish(i);
  auto oldest = numbers.make_reader(ReadFrom::oldest);
  auto now = numbers.make_reader();
  writer.publish(10);
  EXPECT_EQ(now.try_read(), 10);
  EXPECT_EQ(oldest.try_read(), 7);
  EXPECT_EQ(oldest.missed(), 1U) << "which was overwritten since it began";
}

TEST(Broadcast, of_one_message_has_the_last_one) {
  Broadcast<Wide> values{1};
  auto reader = values.make_reader();
  auto writer = values.make_writer();
  for (std::uint64_t i = 1; i <= 3; ++i) writer.publish(Wide{i});
  const auto last = reader.try_read();
  ASSERT_TRUE(last && last->is_whole());
  EXPECT_EQ(last->words[0], 3U);
  EXPECT_EQ(reader.missed(), 2U);
}

TEST(Broadcast, goes_to_other_processes) {
  Broadcast<Wide> values{16};
  auto reader = values.make_reader();
  const Gate done;
  Forked child{[&] {
    auto mine = values.make_reader(ReadFrom::oldest);
    for (std::uint64_t i = 0; i < 3; ++i) {
      const auto value = mine.read();
      if (!value || !value->is_whole() || value->words[0] != i) return 1;
    }
    return mine.read() ? 2 : 0;
  }};
  auto writer = values.make_writer();
  for (std::uint64_t i = 0; i < 3; ++i) writer.publish(Wide{i});
  values.close();
  EXPECT_EQ(child.wait(), exited(0));
  EXPECT_EQ(reader.read()->words[0], 0U);
}

TEST(Broadcast, wakes_a_reader_that_waits) {
  Broadcast<int> numbers{4};
  Forked reader{[&, place = numbers.make_reader()]() mutable { return place.read().value_or(1); }};
  ASSERT_TRUE(eventually([&] { return test::is_asleep(reader.pid()); }));
  numbers.make_writer().publish(42);
  EXPECT_EQ(reader.wait(), exited(42));
}

TEST(Broadcast, reading_may_time_out) {
  const Broadcast<int> numbers{4};
  auto reader = numbers.make_reader();
  EXPECT_EQ(reader.read_for(1ms), std::nullopt);
  EXPECT_EQ(reader.read_until(Deadline::now()), std::nullopt);
  EXPECT_FALSE(numbers.closed());
}

TEST(Broadcast, ends_for_all_when_closed) {
  Broadcast<int> numbers{4};
  auto reader = numbers.make_reader();
  Forked waiting{[place = reader]() mutable { return place.read() || place.read() ? 1 : 0; }};
  ASSERT_TRUE(eventually([&] { return test::is_asleep(waiting.pid()); }));
  numbers.close();
  numbers.close();
  EXPECT_EQ(waiting.wait(), exited(0));
  EXPECT_TRUE(numbers.closed());
  EXPECT_TRUE(reader.ready()) << "to see the end";
  auto writer = numbers.make_writer();
  EXPECT_FALSE(writer.publish(1));
  EXPECT_EQ(reader.read(), std::nullopt);
  EXPECT_EQ(numbers.published(), 0U);
}

TEST(Broadcast, has_one_writer_at_a_time) {
  Broadcast<int> numbers{4};
  {
    auto writer = numbers.make_writer();
    EXPECT_FALSE(writer.took_over());
    EXPECT_FALSE(numbers.try_make_writer());
    EXPECT_FALSE(numbers.make_writer_for(1ms));
    Forked other{[&] { return numbers.try_make_writer() ? 1 : 0; }};
    EXPECT_EQ(other.wait(), exited(0));
    const auto moved = std::move(writer);
    EXPECT_FALSE(numbers.try_make_writer());
  }
  EXPECT_TRUE(numbers.try_make_writer());
  EXPECT_EQ(numbers.takeovers(), 0U);
}

TEST(Broadcast, gives_the_role_to_who_waits_for_it) {
  Broadcast<int> numbers{4};
  auto writer = numbers.try_make_writer();
  Forked next{[&] { numbers.make_writer().publish(7); }};
  ASSERT_TRUE(eventually([&] { return test::is_asleep(next.pid()); }));
  writer.reset();
  EXPECT_EQ(next.wait(), exited(0));
  EXPECT_EQ(numbers.published(), 1U);
}

TEST(Broadcast, gives_a_dead_writers_role_to_the_next) {
  Broadcast<int> numbers{4};
  auto reader = numbers.make_reader();
  Forked dead{[&] {
    auto writer = numbers.make_writer();
    writer.publish(1);
    ::raise(SIGKILL);
  }};
  EXPECT_EQ(dead.wait(), killed_by(SIGKILL));
  auto writer = numbers.try_make_writer();
  ASSERT_TRUE(writer);
  EXPECT_TRUE(writer->took_over());
  EXPECT_EQ(numbers.takeovers(), 1U);
  writer->publish(2);
  EXPECT_EQ(reader.try_read(), 1);
  EXPECT_EQ(reader.try_read(), 2);
}

TEST(Broadcast, leaves_the_role_with_the_parent_at_fork) {
  Broadcast<int> numbers{4};
  std::optional writer = numbers.make_writer();
  Forked child{[&] {
    try {
      writer->publish(1);
      return 1;
    } catch (const Error& error) {
      if (error.code().value() != EPERM) return 2;
    }
    writer.reset();
    return numbers.try_make_writer() ? 3 : 0;
  }};
  EXPECT_EQ(child.wait(), exited(0));
  EXPECT_TRUE(writer->publish(2));
}

TEST(Broadcast, leaves_the_role_with_a_writer_that_is_stopped) {
  Broadcast<int> numbers{4};
  Gate has_it;
  Forked stopped{[&] {
    const auto writer = numbers.make_writer();
    has_it.open();
    ::pause();
  }};
  has_it.wait();
  stopped.kill(SIGSTOP);
  EXPECT_FALSE(numbers.make_writer_for(120ms));
}

TEST(Broadcast, by_one_name_is_one_and_by_another_size_or_type_an_error) {
  const auto name = shared_name("numbers");
  auto first = Broadcast<int>::open(name, 4);
  auto second = Broadcast<int>::open(name, 4);
  auto reader = second.make_reader();
  first.make_writer().publish(5);
  EXPECT_EQ(reader.try_read(), 5);
  EXPECT_THROW(Broadcast<int>::open(name, 8), Error);
  EXPECT_THROW(Broadcast<unsigned>::open(name, 4), Error);
  EXPECT_THROW(Broadcast<int>::open("no/name", 4), Error);
}

TEST(Broadcast, may_be_attached_by_its_descriptor) {
  Broadcast<int> numbers{4};
  auto same = Broadcast<int>::attach(UniqueFd{::dup(numbers.fd())}, 4);
  auto reader = same.make_reader();
  numbers.make_writer().publish(5);
  EXPECT_EQ(reader.try_read(), 5);
  EXPECT_THROW(Broadcast<int>::attach(UniqueFd{::dup(numbers.fd())}, 5), Error);
}

TEST(Broadcast, of_no_or_too_many_messages_is_an_error) {
  EXPECT_THROW(Broadcast<int>{0}, Error);
  EXPECT_THROW(Broadcast<int>{std::size_t{1} << 32U}, Error);
  struct Huge {
    std::array<char, std::size_t{1} << 40U> bytes;
  };
  EXPECT_THROW(Broadcast<Huge>{std::size_t{1} << 30U}, Error);
}

// One writes as fast as it can, in a small ring; others must never see a mixture, and account for
// every message.
void expect_whole_messages_in_order(Broadcast<Wide>::Reader reader) {
  std::uint64_t seen = 0;
  const std::uint64_t first = reader.position();
  std::uint64_t next = first;
  while (const auto value = reader.read()) {
    ASSERT_TRUE(value->is_whole());
    ASSERT_GE(value->words[0], next);
    ASSERT_EQ(value->words[0] + 1, reader.position());
    next = value->words[0] + 1;
    ++seen;
  }
  ASSERT_EQ(seen + reader.missed(), reader.position() - first);
}

TEST(Broadcast, is_never_torn_under_readers_in_threads) {
  constexpr std::uint64_t kMessages = test::kSanitized ? 100'000 : 2'000'000;
  for (const std::size_t capacity : {1U, 2U, 7U, 64U}) {
    Broadcast<Wide> values{capacity};
    std::thread first{
        [&] { expect_whole_messages_in_order(values.make_reader(ReadFrom::oldest)); }};
    std::thread second{[reader = values.make_reader()] { expect_whole_messages_in_order(reader); }};
    auto writer = values.make_writer();
    for (std::uint64_t i = 0; i < kMessages / 4; ++i) writer.publish(Wide{i});
    values.close();
    first.join();
    second.join();
  }
}

TEST(Broadcast, with_rubbish_in_its_memory_is_an_error_or_read_but_never_more) {
  constexpr int kRounds = 2000;
  std::mt19937_64 random{3};
  int errors = 0;
  for (int round = 0; round < kRounds; ++round) {
    Broadcast<Wide> values{4};
    auto reader = values.make_reader();
    std::optional writer = values.make_writer();
    for (std::uint64_t i = 0; i < 3; ++i) writer->publish(Wide{i});
    struct stat status{};
    ASSERT_EQ(::fstat(values.fd(), &status), 0);
    const auto size = static_cast<std::size_t>(status.st_size);
    void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, values.fd(), 0);
    ASSERT_NE(at, MAP_FAILED);
    for (int i = 0; i < 40; ++i) {
      auto* words = static_cast<std::uint64_t*>(at) + SharedMemory::kHeaderSize / 8;
      words[random() % (size / 8 - SharedMemory::kHeaderSize / 8)] = random() >> (random() % 64U);
    }
    ::munmap(at, size);
    for (int i = 0; i < 10; ++i) {
      try {
        reader.try_read();
        values.make_reader(ReadFrom::oldest).try_read();
        writer->publish(Wide{9});
      } catch (const Error&) {
        ++errors;
      }
    }
    values.close();
  }
  EXPECT_GT(errors, kRounds);
}

}  // namespace
}  // namespace procpool::ipc
