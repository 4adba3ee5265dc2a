#include "ipc/queue.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "ipc/channel.hpp"
#include "ipc/shared.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/shared_name.hpp"
#include "tests/support/single_step.hpp"

namespace procpool::ipc {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::exited;
using test::Forked;
using test::Gate;
using test::kPatience;

struct Message {
  int producer = 0;
  int number = 0;
  std::array<char, 56> text{};
};

TEST(Queue, gives_back_in_order_what_was_pushed) {
  Queue<int> queue{8};
  EXPECT_TRUE(queue.empty());
  for (int lap = 0; lap < 5; ++lap) {
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(queue.push(i));
    EXPECT_EQ(queue.size(), 5U);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(queue.pop(), i);
    EXPECT_TRUE(queue.empty());
  }
}

class QueueOfCapacity : public ::testing::TestWithParam<std::size_t> {};

TEST_P(QueueOfCapacity, holds_so_many_and_no_more) {
  const std::size_t capacity = GetParam();
  Queue<std::size_t> queue{capacity};
  EXPECT_EQ(queue.capacity(), capacity);
  for (int lap = 0; lap < 3; ++lap) {
    for (std::size_t i = 0; i < capacity; ++i) EXPECT_TRUE(queue.try_push(i));
    EXPECT_TRUE(queue.full());
    EXPECT_FALSE(queue.try_push(0));
    EXPECT_FALSE(queue.push_for(0, 5ms));
    for (std::size_t i = 0; i < capacity; ++i) EXPECT_EQ(queue.try_pop(), i);
    EXPECT_EQ(queue.try_pop(), std::nullopt);
    EXPECT_EQ(queue.pop_for(5ms), std::nullopt);
  }
}

INSTANTIATE_TEST_SUITE_P(Queue, QueueOfCapacity, ::testing::Values(1, 2, 3, 7, 8, 100, 1024));

TEST(Queue, waits_for_a_message_that_another_process_pushes) {
  Queue<int> queue{4};
  Forked consumer{[&] { return queue.pop().value_or(-1); }};
  ASSERT_TRUE(eventually([&] { return test::is_asleep(consumer.pid()); }));
  queue.push(42);
  EXPECT_EQ(consumer.wait(), exited(42));
}

TEST(Queue, waits_for_room_that_another_process_makes) {
  Queue<int> queue{1};
  queue.push(1);
  Forked producer{[&] { return queue.push(2) ? 0 : 1; }};
  ASSERT_TRUE(eventually([&] { return test::is_asleep(producer.pid()); }));
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(queue.pop(), 2);
  EXPECT_EQ(producer.wait(), exited(0));
}

TEST(Queue, delivers_each_message_once_and_in_the_order_of_its_producer) {
  constexpr int kProducers = 3;
  constexpr int kConsumers = 3;
  constexpr int kMessages = 4000;
  struct Seen {
    std::array<std::array<std::atomic<int>, kMessages>, kProducers> times{};
    std::atomic<int> disorder = 0;
  };
  const Shared<Seen> seen;
  Queue<Message> queue{50};
  std::vector<Forked> producers;
  std::vector<Forked> consumers;
  producers.reserve(kProducers);
  consumers.reserve(kConsumers);
  for (int c = 0; c < kConsumers; ++c) {
    consumers.emplace_back([&] {
      std::array<int, kProducers> last;
      last.fill(-1);
      while (const auto message = queue.pop()) {
        const auto producer = static_cast<std::size_t>(message->producer);
        if (message->number <= last[producer]) ++seen->disorder;
        last[producer] = message->number;
        ++seen->times[producer][static_cast<std::size_t>(message->number)];
      }
    });
  }
  for (int p = 0; p < kProducers; ++p) {
    producers.emplace_back([&, p] {
      for (int i = 0; i < kMessages; ++i) queue.push({.producer = p, .number = i});
    });
  }
  for (Forked& producer : producers) EXPECT_EQ(producer.wait(), exited(0));
  queue.close();
  for (Forked& consumer : consumers) EXPECT_EQ(consumer.wait(), exited(0));
  for (const auto& times : seen->times) {
    for (const auto& count : times) ASSERT_EQ(count, 1);
  }
  EXPECT_EQ(seen->disorder, 0);
  EXPECT_EQ(queue.lost_by_consumers() + queue.lost_by_producers(), 0U);
}

TEST(Queue, serves_threads_as_well) {
  constexpr int kMessages = 5000;
  Queue<int> queue{16};
  std::atomic<long> sum = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (const auto next = queue.pop()) sum += *next;
    });
  }
  std::vector<std::thread> producers;
  for (int i = 0; i < 2; ++i) {
    producers.emplace_back([&] {
      for (int n = 1; n <= kMessages; ++n) queue.push(n);
    });
  }
  for (auto& producer : producers) producer.join();
  queue.close();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(sum, 2L * kMessages * (kMessages + 1) / 2);
}

TEST(Queue, ends_for_all_who_wait_when_it_is_closed) {
  Queue<int> empty{4};
  Queue<int> full{1};
  full.push(1);
  Forked consumer{[&] { return empty.pop() ? 1 : 0; }};
  Forked producer{[&] { return full.push(2) ? 1 : 0; }};
  for (const auto* child : {&consumer, &producer}) {
    ASSERT_TRUE(eventually([&] { return test::is_asleep(child->pid()); }));
  }
  empty.close();
  full.close();
  EXPECT_EQ(consumer.wait(), exited(0));
  EXPECT_EQ(producer.wait(), exited(0));
  EXPECT_TRUE(full.closed());
  EXPECT_FALSE(full.try_push(3));
}

TEST(Queue, still_gives_what_was_there_when_it_was_closed) {
  Queue<int> queue{4};
  queue.push(1);
  queue.push(2);
  queue.close();
  queue.close();
  EXPECT_FALSE(queue.push(3));
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(queue.pop(), 2);
  EXPECT_EQ(queue.pop(), std::nullopt);
  EXPECT_EQ(queue.try_pop(), std::nullopt);
}

TEST(Queue, carries_batches_around_its_end) {
  Queue<int> queue{10};
  std::vector<int> numbers(7);
  std::vector<int> popped(7);
  int next = 0;
  for (int lap = 0; lap < 20; ++lap) {
    std::iota(numbers.begin(), numbers.end(), next);
    next += 7;
    EXPECT_EQ(queue.push_batch(numbers), 7U);
    EXPECT_EQ(queue.size(), 7U);
    EXPECT_EQ(queue.pop_batch(popped), 7U);
    EXPECT_EQ(popped, numbers);
  }
}

TEST(Queue, takes_of_a_batch_what_there_is_room_for) {
  Queue<int> queue{5};
  const std::vector<int> numbers{1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_EQ(queue.try_push_batch(numbers), 5U);
  EXPECT_EQ(queue.push_batch_for(numbers, 5ms), 0U);
  std::vector<int> popped(3);
  EXPECT_EQ(queue.try_pop_batch(popped), 3U);
  EXPECT_EQ(popped, (std::vector<int>{1, 2, 3}));
  popped.resize(8);
  EXPECT_EQ(queue.pop_batch(popped), 2U);
  EXPECT_EQ(queue.pop_batch_for(popped, 5ms), 0U);
}

TEST(Queue, lends_room_for_a_message_and_the_message_itself) {
  Queue<Message> queue{2};
  {
    auto loan = queue.loan();
    ASSERT_TRUE(loan);
    (*loan)->number = 7;
    EXPECT_EQ(queue.try_pop(), std::nullopt) << "it is not committed";
    loan->commit();
  }
  {
    const auto borrowed = queue.borrow();
    ASSERT_TRUE(borrowed);
    EXPECT_EQ((*borrowed)->number, 7);
    EXPECT_FALSE(queue.try_borrow());
  }
  EXPECT_TRUE(queue.try_push({}));
}

TEST(Queue, skips_room_that_was_lent_and_not_used) {
  Queue<int> queue{3};
  for (int i = 0; i < 10; ++i) {
    {
      const auto unused = queue.loan();
      ASSERT_TRUE(unused);
      EXPECT_TRUE(queue.push(i));
    }
    EXPECT_EQ(queue.pop(), i);
    EXPECT_EQ(queue.try_pop(), std::nullopt);
  }
  EXPECT_EQ(queue.lost_by_producers(), 0U);
}

TEST(Queue, carries_texts_from_empty_to_as_large_as_itself) {
  Queue<std::string> queue{{.capacity = 16, .message_bytes = 56}};
  for (int lap = 0; lap < 5; ++lap) {
    for (const std::size_t size : {0U, 1U, 56U, 57U, 200U, 1016U}) {
      const std::string text(size, static_cast<char>('a' + lap));
      EXPECT_TRUE(queue.push(text));
      EXPECT_EQ(queue.pop(), text);
    }
  }
  EXPECT_THROW(queue.push(std::string(1017, 'x')), Error);
  EXPECT_TRUE(queue.empty());
}

TEST(Queue, keeps_small_and_large_texts_in_order_between_processes) {
  constexpr int kTexts = 1000;
  Queue<std::string> queue{{.capacity = 100, .message_bytes = 24}};
  const auto text = [](int i) {
    return std::string(static_cast<std::size_t>(i * 37 % 400), static_cast<char>('a' + i % 26));
  };
  Forked producer{[&] {
    for (int i = 0; i < kTexts; ++i) queue.push(text(i));
  }};
  for (int i = 0; i < kTexts; ++i) ASSERT_EQ(queue.pop(), text(i));
  EXPECT_EQ(producer.wait(), exited(0));
}

TEST(Queue, is_shared_by_name) {
  const std::string name = test::shared_name("queue");
  auto ours = Queue<int>::open(name, {.capacity = 4});
  Forked other{[&] {
    auto theirs = Queue<int>::open(name, {.capacity = 4});
    theirs.push(5);
  }};
  EXPECT_EQ(ours.pop(), 5);
  EXPECT_EQ(other.wait(), exited(0));
  EXPECT_THROW(Queue<int>::open(name, {.capacity = 5}), Error);
  EXPECT_THROW(Queue<long>::open(name, {.capacity = 4}), Error);
}

TEST(Queue, is_shared_by_its_descriptors) {
  auto [left, right] = make_channel();
  Forked other{[&] {
    std::array<std::byte, 1> buffer;
    auto received = right.receive(buffer);
    auto queue = Queue<int>::attach(std::move(received.descriptors[0]),
                                    std::move(received.descriptors[1]), {.capacity = 4});
    queue.push(6);
  }};
  Queue<int> queue{4};
  const std::array<int, 2> descriptors{queue.descriptors().segment, queue.descriptors().bell};
  left.send(std::as_bytes(std::span{"x", 1}), descriptors);
  EXPECT_EQ(queue.pop(), 6);
  EXPECT_EQ(other.wait(), exited(0));
}

bool is_readable(int fd, std::chrono::milliseconds time) {
  return wait_ready(fd, POLLIN, Deadline::in(time)) != 0;
}

TEST(Queue, is_waited_for_in_a_poller) {
  Queue<int> queue{8};
  const int fd = queue.fd();
  Forked producer{[&] {
    for (int i = 0; i < 100; ++i) queue.push(i);
  }};
  int expected = 0;
  while (expected < 100) {
    ASSERT_TRUE(is_readable(fd, kPatience));
    while (const auto next = queue.try_pop()) ASSERT_EQ(*next, expected++);
  }
  EXPECT_EQ(producer.wait(), exited(0));
  EXPECT_FALSE(queue.ready());
  EXPECT_FALSE(is_readable(fd, 0ms));
  queue.close();
  EXPECT_TRUE(is_readable(fd, kPatience));
  EXPECT_TRUE(queue.ready());
}

TEST(Queue, with_a_name_is_waited_for_in_a_poller_and_leaves_no_name) {
  const std::string name = test::shared_name("queue");
  const std::string bell = std::string{"/dev/shm/procpool-bell."}.append(name.substr(1));
  {
    auto queue = Queue<int>::open(name, {.capacity = 8});
    const int fd = queue.fd();
    EXPECT_FALSE(queue.ready());
    Forked producer{[&] {
      auto theirs = Queue<int>::open(name, {.capacity = 8});
      theirs.push(9);
    }};
    EXPECT_TRUE(is_readable(fd, kPatience));
    while (!queue.ready()) ASSERT_TRUE(is_readable(fd, kPatience));
    EXPECT_EQ(queue.try_pop(), 9);
    EXPECT_EQ(producer.wait(), exited(0));
    EXPECT_EQ(::access(bell.c_str(), F_OK), 0);
  }
  EXPECT_NE(::access(bell.c_str(), F_OK), 0);
}

TEST(Queue, is_polled_by_a_child_as_well_as_by_its_parent) {
  Queue<int> queue{8};
  static_cast<void>(queue.fd());
  Forked child{[&] {
    const int fd = queue.fd();
    while (!queue.ready()) {
      if (!is_readable(fd, kPatience)) return 3;
    }
    return queue.try_pop().value_or(4);
  }};
  queue.push(0);
  EXPECT_EQ(child.wait(), exited(0));
}

TEST(Queue, tells_when_all_tasks_are_done) {
  Queue<int> queue{{.capacity = 8, .joinable = true}};
  EXPECT_TRUE(queue.join_for(0ms));
  for (int i = 0; i < 6; ++i) queue.push(i);
  EXPECT_FALSE(queue.join_for(5ms));
  Gate half;
  Gate go_on;
  Forked worker{[&] {
    for (int i = 0; i < 6; ++i) {
      queue.pop();
      if (i == 5) {
        half.open();
        go_on.wait();
      }
      queue.task_done();
    }
  }};
  half.wait();
  EXPECT_FALSE(queue.join_for(5ms)) << "the last is taken, but not done";
  go_on.open();
  queue.join();
  EXPECT_EQ(worker.wait(), exited(0));
  EXPECT_THROW(queue.task_done(), Error);
}

TEST(Queue, gets_the_tasks_of_a_dead_worker_back) {
  Queue<int> queue{{.capacity = 8, .joinable = true}};
  queue.push(1);
  Gate taken;
  Forked worker{[&] {
    queue.pop();
    taken.open();
    ::pause();
  }};
  taken.wait();
  EXPECT_FALSE(queue.join_for(20ms));
  worker.kill(SIGKILL);
  worker.wait();
  EXPECT_TRUE(queue.join_for(kPatience));
}

TEST(Queue, goes_on_behind_a_producer_that_is_killed_while_it_writes) {
  Queue<Message> queue{4};
  Gate lent;
  Forked victim{[&] {
    const auto loan = queue.loan();
    lent.open();
    ::pause();
  }};
  lent.wait();
  queue.push({.number = 1});
  EXPECT_EQ(queue.try_pop(), std::nullopt) << "it lives";
  EXPECT_EQ(queue.pop_for(20ms), std::nullopt);
  victim.kill(SIGSTOP);
  EXPECT_EQ(queue.pop_for(20ms), std::nullopt) << "a stopped one lives";
  victim.kill(SIGKILL);
  victim.wait();
  EXPECT_EQ(queue.pop()->number, 1);
  EXPECT_EQ(queue.lost_by_producers(), 1U);
}

TEST(Queue, goes_on_around_a_consumer_that_is_killed_while_it_reads) {
  Queue<int> queue{2};
  queue.push(1);
  queue.push(2);
  Gate taken;
  Forked victim{[&] {
    const auto borrowed = queue.borrow();
    taken.open();
    ::pause();
  }};
  taken.wait();
  EXPECT_FALSE(queue.try_push(3)) << "its room is not free";
  victim.kill(SIGKILL);
  victim.wait();
  EXPECT_TRUE(queue.push(3));
  EXPECT_EQ(queue.pop(), 2);
  EXPECT_EQ(queue.pop(), 3);
  EXPECT_EQ(queue.lost_by_consumers(), 1U);
}

TEST(Queue, takes_a_new_process_in_for_every_one_that_died) {
  Queue<int> queue{{.capacity = 4, .processes = 2}};
  queue.push(0);
  for (int i = 0; i < 20; ++i) {
    Forked dies{[&] { queue.push(*queue.pop() + 1); }};
    EXPECT_EQ(dies.wait(), exited(0));
  }
  EXPECT_EQ(queue.pop(), 20);
}

TEST(Queue, refuses_more_processes_than_it_was_made_for) {
  Queue<int> queue{{.capacity = 4, .processes = 1}};
  queue.push(0);
  Forked other{[&] {
    try {
      queue.try_push(1);
    } catch (const Error& error) {
      return std::string_view{error.what()}.find("1 processes use it") == std::string_view::npos;
    }
    return true;
  }};
  EXPECT_EQ(other.wait(), exited(0));
}

TEST(Queue, refuses_sizes_that_cannot_be) {
  EXPECT_THROW(Queue<int>{0}, Error);
  EXPECT_THROW(Queue<int>{std::size_t{1} << 60U}, Error);
  EXPECT_THROW((Queue<int>{{.capacity = 1, .processes = 0}}), Error);
  EXPECT_THROW((Queue<int>{{.capacity = 1, .processes = 2000}}), Error);
}

TEST(Queue, wakes_an_idle_waiter_at_most_25_times_a_second) {
  Queue<int> queue{1};
  Forked waiter{[&] {
    rusage before{};
    rusage after{};
    ::getrusage(RUSAGE_THREAD, &before);
    queue.pop_for(1s);
    ::getrusage(RUSAGE_THREAD, &after);
    return static_cast<int>(after.ru_nvcsw - before.ru_nvcsw);
  }};
  const auto ending = waiter.wait();
  EXPECT_FALSE(ending.by_signal);
  EXPECT_LE(ending.number, 25);
}

}  // namespace
}  // namespace procpool::ipc
