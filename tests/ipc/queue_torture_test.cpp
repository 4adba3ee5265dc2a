// Producers and consumers of one Queue that are killed, stopped and continued at random.
//
// Each storm lasts PROCPOOL_STORM_SECONDS (1). Every process keeps a diary in shared memory:
//   - a producer writes down how far it may have pushed before each push, and how far it has after
//     it. The second says what was sent; of what is between the two when it is killed, any part;
//   - a consumer marks each message that it got, after its pop, or while it borrows.
// So with K killed consumers and K' killed producers of at most B messages at a time
//   sent - K B <= got + lost by consumers <= sent + K' B + K B
// and what was sent to be got after the last kill is got to the last message.
#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/queue.hpp"
#include "ipc/shared.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"

namespace procpool::ipc {
namespace {

using test::exited;
using test::Forked;
using test::killed_by;

constexpr std::size_t kProducers = 4;
constexpr std::size_t kConsumers = 4;
constexpr std::size_t kBatch = 8;
constexpr std::size_t kLives = 1U << 12U;      // of all producers together
constexpr std::size_t kMessages = 1U << 17U;   // of each life
constexpr std::uint32_t kLongestPause = 3000;  // microseconds

std::chrono::seconds storm_length() {
  const char* seconds = std::getenv("PROCPOOL_STORM_SECONDS");
  return std::chrono::seconds{seconds != nullptr ? std::atoi(seconds) : 1};
}

// A producer's life has a number, and so has each message in it.
struct Message {
  std::uint32_t life = 0;
  std::uint32_t number = 0;
  std::uint64_t sum = 0;

  static Message make(std::size_t life, std::size_t number) {
    return {static_cast<std::uint32_t>(life), static_cast<std::uint32_t>(number),
            check(life, number)};
  }
  bool is_whole() const {
    return life < kLives && number < kMessages && sum == check(life, number);
  }

 private:
  static std::uint64_t check(std::uint64_t life, std::uint64_t number) {
    return ~(life << 32U | number) * 0x9e3779b97f4a7c15;
  }
};

struct Diary {
  std::atomic<std::uint32_t> begun = 0;  // messages that were pushed, or may have been
  std::atomic<std::uint32_t> sent = 0;   // messages that were
  std::array<std::atomic<std::uint64_t>, kMessages / 64> got{};

  bool mark(std::size_t number) {  // false: it was already
    const std::uint64_t bit = std::uint64_t{1} << number % 64;
    return (got[number / 64].fetch_or(bit) & bit) == 0;
  }
  bool is_marked(std::size_t number) const { return (got[number / 64] >> number % 64 & 1U) != 0; }
  std::uint64_t marked_from(std::size_t first, std::size_t end) const {
    std::uint64_t count = 0;
    for (std::size_t i = first; i < end; ++i) count += is_marked(i) ? 1 : 0;
    return count;
  }
};

struct Diaries {
  std::array<Diary, kLives> lives;
  std::atomic<std::size_t> begun_lives = 0;
  std::atomic<std::uint64_t> twice = 0;
  std::atomic<std::uint64_t> torn = 0;
  std::atomic<std::uint64_t> disorder = 0;
  std::atomic<std::uint64_t> popped = 0;

  // One consumer sees a producer's messages in their order.
  class Reader {
   public:
    explicit Reader(Diaries& diaries) : diaries_{diaries}, next_(kLives, 0) {}
    void got(const Message& message) {
      if (!message.is_whole()) {
        ++diaries_.torn;
        return;
      }
      if (message.number < next_[message.life]) ++diaries_.disorder;
      next_[message.life] = message.number + 1;
      if (!diaries_.lives[message.life].mark(message.number)) ++diaries_.twice;
      diaries_.popped.fetch_add(1, std::memory_order_relaxed);
    }

   private:
    Diaries& diaries_;
    std::vector<std::uint32_t> next_;
  };
};

// How messages go through a queue, at most kMost at once. push() says how many it sent from number
// `first` on, 0 when the queue is closed; pop() says false at the end.
struct OneByOne {
  static constexpr std::size_t kMost = 1;
  Queue<Message> queue{{.capacity = 64, .processes = 16}};
  std::size_t push(std::size_t life, std::size_t first) {
    return queue.push(Message::make(life, first)) ? 1 : 0;
  }
  template <typename Reader>
  bool pop(Reader& reader) {
    const auto message = queue.pop();
    if (message) reader.got(*message);
    return message.has_value();
  }
};

struct ByBatches {
  static constexpr std::size_t kMost = kBatch;
  Queue<Message> queue{{.capacity = 61, .processes = 16}};
  std::size_t push(std::size_t life, std::size_t first) {
    std::array<Message, kBatch> batch;
    const std::size_t count = first % kBatch + 1;
    for (std::size_t i = 0; i < count; ++i) batch[i] = Message::make(life, first + i);
    return queue.push_batch(std::span{batch}.first(count));
  }
  template <typename Reader>
  bool pop(Reader& reader) {
    std::array<Message, kBatch> batch;
    const std::size_t count = queue.pop_batch(batch);
    for (const Message& message : std::span{batch}.first(count)) reader.got(message);
    return count > 0;
  }
};

struct ByLoans {
  static constexpr std::size_t kMost = 1;
  Queue<Message> queue{{.capacity = 4, .processes = 16}};
  std::size_t push(std::size_t life, std::size_t first) {
    if (first % 3 == 0) static_cast<void>(queue.loan());  // abandoned
    auto loan = queue.loan();
    if (!loan) return 0;
    **loan = Message::make(life, first);
    loan->commit();
    return 1;
  }
  template <typename Reader>
  bool pop(Reader& reader) {
    const auto message = queue.borrow();
    if (message) reader.got(**message);
    return message.has_value();
  }
};

struct ByTexts {
  static constexpr std::size_t kMost = 1;
  Queue<std::string> queue{{.capacity = 61, .message_bytes = 24, .processes = 16}};
  std::size_t push(std::size_t life, std::size_t first) {
    const Message message = Message::make(life, first);
    std::string text(first * 37 % 200, static_cast<char>('a' + first % 26));
    text.append(reinterpret_cast<const char*>(&message), sizeof message);
    return queue.push(text) ? 1 : 0;
  }
  template <typename Reader>
  bool pop(Reader& reader) {
    const auto text = queue.pop();
    if (!text) return false;
    Message message;
    std::memcpy(&message, text->data() + text->size() - sizeof message, sizeof message);
    const std::size_t size = message.number * std::size_t{37} % 200;
    const bool whole =
        text->size() == size + sizeof message &&
        text->find_first_not_of(static_cast<char>('a' + message.number % 26)) >= size;
    reader.got(whole ? message : Message{});
    return true;
  }
};

template <typename Way>
class Storm : public ::testing::Test {
 protected:
  void SetUp() override {
    for (std::size_t i = 0; i < kProducers; ++i) start_producer(i);
    for (std::size_t i = 0; i < kConsumers; ++i) start_consumer(i);
  }

  void blow() {
    const Deadline end = Deadline::in(storm_length());
    while (!end.expired() && diaries_->begun_lives + kLivesToSpare < kLives) disturb();
    unstop_all();
  }

  // Nobody is stopped any more, so messages come through; and nobody is killed, so all of them do.
  void require_progress() {
    const std::size_t first = diaries_->begun_lives;
    producers_[0]->kill(SIGKILL);
    producers_[0]->wait();
    ++killed_producers_;
    start_producer(0);
    const std::uint64_t before = diaries_->popped;
    EXPECT_TRUE(test::eventually([&] {
      return diaries_->popped > before + 1000 && diaries_->begun_lives > first &&
             diaries_->lives[first].sent > 0;
    }));
    way_.queue.close();
    for (auto& process : producers_) EXPECT_EQ(process->wait(), exited(0));
    for (auto& process : consumers_) EXPECT_EQ(process->wait(), exited(0));
    for (std::size_t life = first; life < lives(); ++life) {
      const Diary& diary = diaries_->lives[life];
      EXPECT_EQ(diary.marked_from(0, diary.sent), diary.sent) << "life " << life;
    }
  }

  void check_diaries() const {
    EXPECT_EQ(diaries_->twice, 0U);
    EXPECT_EQ(diaries_->torn, 0U);
    EXPECT_EQ(diaries_->disorder, 0U);
    std::uint64_t sent = 0;
    std::uint64_t got_of_sent = 0;
    std::uint64_t got_besides = 0;
    for (std::size_t life = 0; life < lives(); ++life) {
      const Diary& diary = diaries_->lives[life];
      sent += diary.sent;
      got_of_sent += diary.marked_from(0, diary.sent);
      got_besides += diary.marked_from(diary.sent, diary.begun);
      EXPECT_EQ(diary.marked_from(diary.begun, kMessages), 0U) << "nobody pushed it";
    }
    const std::uint64_t by_producers = way_.queue.lost_by_producers();
    const std::uint64_t by_consumers = way_.queue.lost_by_consumers();
    const std::uint64_t held_by_producers = killed_producers_ * Way::kMost;
    const std::uint64_t held_by_consumers = killed_consumers_ * Way::kMost;
    std::cout << sent << " messages sent; killed " << killed_producers_ << " producers and "
              << killed_consumers_ << " consumers; lost " << by_producers << " and " << by_consumers
              << ", not got " << sent - got_of_sent << '\n';
    EXPECT_LE(sent - got_of_sent, held_by_consumers);
    EXPECT_LE(got_besides + by_producers, held_by_producers);
    EXPECT_LE(by_consumers, held_by_consumers);
    const std::uint64_t accounted = got_of_sent + got_besides + by_consumers;
    EXPECT_LE(sent, accounted + held_by_consumers);
    EXPECT_LE(accounted, sent + held_by_producers + held_by_consumers);
  }

 private:
  using Reader = Diaries::Reader;
  static constexpr std::size_t kLivesToSpare = 100;

  std::size_t lives() const { return std::min<std::size_t>(diaries_->begun_lives, kLives); }

  void start_producer(std::size_t index) {
    producers_[index].reset();
    producers_[index].emplace([this] {
      for (std::size_t life = 0; (life = diaries_->begun_lives++) < kLives;) {
        Diary& diary = diaries_->lives[life];
        for (std::size_t next = 0; next + kBatch <= kMessages;) {
          diary.begun = static_cast<std::uint32_t>(next + kBatch);
          const std::size_t pushed = way_.push(life, next);
          if (pushed == 0) return;
          next += pushed;
          diary.sent = static_cast<std::uint32_t>(next);
        }
      }
    });
  }

  void start_consumer(std::size_t index) {
    consumers_[index].reset();
    consumers_[index].emplace([this] {
      Reader reader{*diaries_};
      while (way_.pop(reader)) {
      }
    });
  }

  void disturb() {
    const std::size_t which = random_() % (kProducers + kConsumers);
    const bool is_producer = which < kProducers;
    const std::size_t index = is_producer ? which : which - kProducers;
    Forked& victim = *(is_producer ? producers_ : consumers_)[index];
    switch (random_() % 4) {
      case 0:
        victim.kill(SIGSTOP);
        break;
      case 1:
        victim.kill(SIGCONT);
        break;
      default:
        victim.kill(SIGKILL);
        EXPECT_EQ(victim.wait(), killed_by(SIGKILL));
        ++(is_producer ? killed_producers_ : killed_consumers_);
        is_producer ? start_producer(index) : start_consumer(index);
    }
    std::this_thread::sleep_for(std::chrono::microseconds{random_() % kLongestPause});
  }

  void unstop_all() {
    for (auto& process : producers_) process->kill(SIGCONT);
    for (auto& process : consumers_) process->kill(SIGCONT);
  }

  Way way_;
  Shared<Diaries> diaries_;
  std::array<std::optional<Forked>, kProducers> producers_;
  std::array<std::optional<Forked>, kConsumers> consumers_;
  std::minstd_rand random_{std::random_device{}()};
  std::uint64_t killed_producers_ = 0;
  std::uint64_t killed_consumers_ = 0;
};

using Ways = ::testing::Types<OneByOne, ByBatches, ByLoans, ByTexts>;
TYPED_TEST_SUITE(Storm, Ways);

TYPED_TEST(Storm, of_signals_costs_a_queue_what_the_killed_held_and_no_more) {
  this->blow();
  this->require_progress();
  this->check_diaries();
}

}  // namespace
}  // namespace procpool::ipc
