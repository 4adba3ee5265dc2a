// Cases of CPython's tests that no other test here has: PYTHON_IPC.md.
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/barrier.hpp"
#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/channel.hpp"
#include "ipc/condition.hpp"
#include "ipc/event.hpp"
#include "ipc/mutex.hpp"
#include "ipc/pipe.hpp"
#include "ipc/queue.hpp"
#include "ipc/recursive_mutex.hpp"
#include "ipc/semaphore.hpp"
#include "ipc/shared.hpp"
#include "ipc/shared_array.hpp"
#include "ipc/wait_any.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/single_step.hpp"

namespace procpool::ipc {
namespace {

// A message whose encoding fails if it says so.
struct Moody {
  std::string text;
};

}  // namespace

template <>
struct Codec<Moody> {
  static void encode(const Moody& message, std::vector<std::byte>& bytes) {
    Codec<std::string>::encode(message.text, bytes);
    if (message.text == "no") throw std::invalid_argument{"no"};
  }
  static Moody decode(std::span<const std::byte> bytes) {
    return {Codec<std::string>::decode(bytes)};
  }
};

namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::exited;
using test::Forked;
using test::Gate;
using test::kPatience;
using Indices = std::vector<std::size_t>;
using Outcome = Channel::Outcome;

// How long an action takes that is to say no.
template <typename Action>
Deadline::Clock::duration refusal(Action action) {
  const auto start = Deadline::Clock::now();
  EXPECT_FALSE(action());
  return Deadline::Clock::now() - start;
}

bool falls_asleep(const Forked& child) {
  return eventually([&] { return test::is_asleep(child.pid()); });
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string receive_text(Channel& channel) {
  std::vector<std::byte> message;
  return channel.receive(message).outcome == Outcome::message ? text_of(message) : "(closed)";
}

TEST(QueueLikePython, is_full_for_every_kind_of_push_until_another_process_takes) {
  Queue<int> queue{6};
  Gate start;
  Gate taken;
  Forked consumer{[&] {
    start.wait();
    for (int i = 1; i <= 6; ++i) EXPECT_EQ(queue.pop(), i);
    taken.open();
  }};
  EXPECT_TRUE(queue.empty());
  EXPECT_FALSE(queue.full());
  EXPECT_TRUE(queue.push(1));
  EXPECT_TRUE(queue.push_until(2, Deadline::never()));
  EXPECT_TRUE(queue.push_until(3, Deadline::now()));
  EXPECT_TRUE(queue.push_for(4, 1h));
  EXPECT_TRUE(queue.push_for(5, 0s));
  EXPECT_TRUE(queue.try_push(6));
  EXPECT_FALSE(queue.empty());
  EXPECT_TRUE(queue.full());
  EXPECT_FALSE(queue.try_push(7));
  EXPECT_FALSE(queue.push_for(7, -1h));
  EXPECT_FALSE(queue.push_until(7, Deadline::now()));
  EXPECT_GE(refusal([&] { return queue.push_for(7, 80ms); }), 80ms);
  start.open();
  taken.wait();
  EXPECT_TRUE(queue.empty());
  EXPECT_FALSE(queue.full());
  EXPECT_EQ(consumer.wait(), exited(0));
}

TEST(QueueLikePython, is_empty_for_every_kind_of_pop_once_all_is_taken) {
  Queue<int> queue{1024};
  Gate start;
  Forked producer{[&] {
    start.wait();
    for (int i = 2; i <= 5; ++i) queue.push(i);
  }};
  EXPECT_TRUE(queue.empty());
  start.open();
  EXPECT_EQ(producer.wait(), exited(0));
  EXPECT_FALSE(queue.empty());
  EXPECT_EQ(queue.pop_until(Deadline::never()), 2);
  EXPECT_EQ(queue.pop(), 3);
  EXPECT_EQ(queue.pop_for(1s), 4);
  EXPECT_EQ(queue.try_pop(), 5);
  EXPECT_TRUE(queue.empty());
  EXPECT_FALSE(queue.try_pop());
  EXPECT_FALSE(queue.pop_for(-1h));
  EXPECT_FALSE(queue.pop_until(Deadline::now()));
  EXPECT_GE(refusal([&] { return queue.pop_for(80ms).has_value(); }), 80ms);
}

TEST(QueueLikePython, is_filled_by_a_child_behind_what_its_parent_had_pushed) {
  Queue<int> queue{32};
  for (int i = 0; i < 10; ++i) queue.push(i);
  Forked child{[&] {
    for (int i = 10; i < 20; ++i) queue.push(i);
  }};
  for (int i = 0; i < 20; ++i) EXPECT_EQ(queue.pop(), i);
  EXPECT_FALSE(queue.try_pop());
  EXPECT_EQ(child.wait(), exited(0));
}

TEST(QueueLikePython, knows_its_size) {
  Queue<int> queue{8};
  EXPECT_EQ(queue.size(), 0U);
  queue.push(1);
  EXPECT_EQ(queue.size(), 1U);
  queue.push(5);
  EXPECT_EQ(queue.size(), 2U);
  queue.pop();
  EXPECT_EQ(queue.size(), 1U);
  queue.pop();
  EXPECT_EQ(queue.size(), 0U);
}

TEST(QueueLikePython, says_of_itself_in_another_process_whether_it_is_empty) {
  Queue<bool> queue{4};
  Forked child{[&] {
    queue.push(queue.empty());
    queue.push(queue.empty());
  }};
  EXPECT_EQ(child.wait(), exited(0));
  EXPECT_FALSE(queue.empty());
  EXPECT_EQ(queue.pop(), true);
  EXPECT_EQ(queue.pop(), false);
  EXPECT_TRUE(queue.empty());
}

TEST(QueueLikePython, is_as_it_was_when_a_message_cannot_be_encoded) {
  Queue<Moody> queue{1};
  EXPECT_THROW(queue.push({"no"}), std::invalid_argument);
  EXPECT_THROW(queue.try_push({"no"}), std::invalid_argument);
  EXPECT_TRUE(queue.empty());
  EXPECT_TRUE(queue.try_push({"yes"})) << "there is room still";
  EXPECT_TRUE(queue.full());
  EXPECT_THROW(queue.try_push({"no"}), std::invalid_argument);
  EXPECT_EQ(queue.pop()->text, "yes");
  EXPECT_TRUE(queue.empty());
}

TEST(QueueLikePython, may_be_closed_twice_and_says_no_ever_after) {
  for (const bool joinable : {false, true}) {
    Queue<int> queue{QueueOptions{.capacity = 4, .joinable = joinable}};
    queue.close();
    queue.close();
    EXPECT_TRUE(queue.closed());
    EXPECT_FALSE(queue.push(1));
    EXPECT_FALSE(queue.pop());
  }
}

TEST(QueueLikePython, is_made_where_the_standard_descriptors_are_closed) {
  Forked program{[] {
    for (const int fd : {0, 1}) ::close(fd);
    Queue<int> queue{4};
    Forked child{[&] { queue.push(42); }};
    return queue.pop().value_or(1);
  }};
  EXPECT_EQ(program.wait(), exited(42));
}

TEST(LockLikePython, is_had_once_and_given_back_once) {
  Mutex mutex;
  mutex.lock();
  std::thread{[&] { EXPECT_FALSE(mutex.try_lock()); }}.join();
  mutex.unlock();
  EXPECT_THROW(mutex.unlock(), Error);
  EXPECT_TRUE(mutex.try_lock());
  mutex.unlock();
}

TEST(LockLikePython, of_the_recursive_kind_is_given_back_as_often_as_it_was_had) {
  RecursiveMutex mutex;
  for (int i = 0; i < 3; ++i) mutex.lock();
  for (int i = 0; i < 3; ++i) mutex.unlock();
  EXPECT_THROW(mutex.unlock(), Error);
}

// Locks the mutex in this process and, while it has it not, in a child, and so on.
int lock_in_generations(Mutex& mutex, int count) {
  const std::scoped_lock before{mutex};
  if (count == 0) return 0;
  mutex.unlock();
  const test::Ending ending = Forked{[&] { return lock_in_generations(mutex, count - 1); }}.wait();
  mutex.lock();
  return ending.number;
}

TEST(LockLikePython, is_used_by_generations_of_children) {
  const Shared<Mutex> mutex;
  EXPECT_EQ(Forked{[&] { return lock_in_generations(*mutex, 5); }}.wait(), exited(0));
  EXPECT_TRUE(mutex->try_lock());
  EXPECT_FALSE(mutex->took_over());
  mutex->unlock();
}

TEST(SemaphoreLikePython, is_waited_for_no_less_than_the_time_given) {
  Semaphore semaphore;
  EXPECT_FALSE(semaphore.try_acquire());
  EXPECT_FALSE(semaphore.try_acquire_for(-1h));
  EXPECT_FALSE(semaphore.try_acquire_until(Deadline::now()));
  for (const auto time : {20ms, 80ms}) {
    EXPECT_GE(refusal([&] { return semaphore.try_acquire_for(time); }), time);
  }
}

TEST(SemaphoreLikePython, counts_beyond_the_value_it_began_with) {
  Semaphore semaphore{2};
  semaphore.acquire();
  EXPECT_EQ(semaphore.value(), 1U);
  semaphore.acquire();
  EXPECT_EQ(semaphore.value(), 0U);
  EXPECT_FALSE(semaphore.try_acquire());
  for (std::uint32_t value = 1; value <= 4; ++value) {
    semaphore.release();
    EXPECT_EQ(semaphore.value(), value);
  }
}

// Waiters who go on one for each ticket.
struct Tickets {
  Mutex mutex;
  Condition changed;
  int tickets = 0;
  Semaphore sleeping;
  Semaphore woken;

  void await_one() {
    std::unique_lock lock{mutex};
    sleeping.release();
    changed.wait(lock, [&] { return tickets > 0; });
    --tickets;
    woken.release();
  }
  bool await_none_for(std::chrono::milliseconds time) {
    std::unique_lock lock{mutex};
    sleeping.release();
    const bool had = changed.wait_for(lock, time, [&] { return tickets > 0; });
    woken.release();
    return had;
  }
  void give(int count) {
    const std::scoped_lock lock{mutex};
    tickets += count;
  }
  bool all_sleep(int count) {
    for (int i = 0; i < count; ++i) {
      if (!sleeping.try_acquire_for(kPatience)) return false;
    }
    return true;
  }
  // So many go on, and no more although they have the time to look.
  bool wakes(int count) {
    for (int i = 0; i < count; ++i) {
      if (!woken.try_acquire_for(kPatience)) return false;
    }
    return !woken.try_acquire_for(2 * kLongestSleep);
  }
};

// So many processes, and as many threads of this one.
class Crowd {
 public:
  Crowd(int count, const std::function<void()>& body) {
    for (int i = 0; i < count; ++i) processes_.emplace_back(body);
    for (int i = 0; i < count; ++i) threads_.emplace_back(body);
  }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;
  ~Crowd() {
    for (std::thread& thread : threads_) thread.join();
    for (Forked& process : processes_) EXPECT_EQ(process.wait(), exited(0));
  }

 private:
  std::vector<Forked> processes_;
  std::vector<std::thread> threads_;
};

TEST(ConditionLikePython, wakes_a_process_and_a_thread_one_at_a_time) {
  const Shared<Tickets> state;
  const Crowd crowd{1, [&] { state->await_one(); }};
  ASSERT_TRUE(state->all_sleep(2));
  EXPECT_TRUE(state->wakes(0));
  for (int i = 0; i < 2; ++i) {
    state->give(1);
    state->changed.notify_one();
    EXPECT_TRUE(state->wakes(1));
  }
}

TEST(ConditionLikePython, wakes_all_also_after_others_were_timed_out) {
  const Shared<Tickets> state;
  {
    const Crowd crowd{3, [&] { EXPECT_FALSE(state->await_none_for(20ms)); }};
    ASSERT_TRUE(state->all_sleep(6));
  }
  EXPECT_TRUE(state->wakes(6));
  const Crowd crowd{3, [&] { state->await_one(); }};
  ASSERT_TRUE(state->all_sleep(6));
  EXPECT_TRUE(state->wakes(0));
  state->give(6);
  state->changed.notify_all();
  EXPECT_TRUE(state->wakes(6));
}

TEST(ConditionLikePython, wakes_as_many_as_were_notified_and_forgets_what_nobody_heard) {
  const Shared<Tickets> state;
  const Crowd crowd{3, [&] { state->await_one(); }};
  ASSERT_TRUE(state->all_sleep(6));
  for (const int count : {2, 4}) {
    state->give(count);
    for (int i = 0; i < count; ++i) state->changed.notify_one();
    EXPECT_TRUE(state->wakes(count));
  }
  for (int i = 0; i < 3; ++i) state->changed.notify_one();
  EXPECT_TRUE(state->wakes(0));
}

struct Counter {
  Mutex mutex;
  Condition changed;
  int value = -1;
  Semaphore waits;

  void add() {
    {
      const std::scoped_lock lock{mutex};
      ++value;
    }
    changed.notify_one();
  }
};

TEST(ConditionLikePython, waits_for_what_another_process_counts_to) {
  const Shared<Counter> counter;
  Forked child{[&] {
    std::unique_lock lock{counter->mutex};
    counter->value = 0;
    counter->changed.notify_one();
    counter->changed.wait(lock, [&] { return counter->value == 4; });
  }};
  {
    std::unique_lock lock{counter->mutex};
    EXPECT_TRUE(counter->changed.wait_for(lock, kPatience, [&] { return counter->value == 0; }));
  }
  for (int i = 0; i < 4; ++i) counter->add();
  EXPECT_EQ(child.wait(), exited(0));
}

TEST(ConditionLikePython, is_timed_out_though_notified_when_the_predicate_stays_false) {
  const Shared<Counter> counter;
  Forked child{[&] {
    std::unique_lock lock{counter->mutex};
    counter->waits.release();
    EXPECT_GE(refusal([&] {
                return counter->changed.wait_for(lock, 100ms, [&] { return counter->value == 4; });
              }),
              100ms);
  }};
  counter->waits.acquire();
  for (int i = 0; i < 3; ++i) counter->add();
  EXPECT_EQ(child.wait(), exited(0));
  EXPECT_EQ(counter->value, 2);
}

// Where the handler of this process counts.
std::atomic<int>* signals_seen = nullptr;

// Without SA_RESTART: a system call that waits is interrupted.
void count_signals(std::atomic<int>& counter) {
  signals_seen = &counter;
  struct sigaction action{};
  action.sa_handler = [](int) { ++*signals_seen; };
  ASSERT_EQ(::sigaction(SIGUSR1, &action, nullptr), 0);
}

struct Waits {
  Barrier barrier{1};
  Event event;
  Mutex mutex;
  Semaphore semaphore;
  std::atomic<int> signals = 0;
};

TEST(WaitsLikePython, go_on_when_a_signal_was_handled) {
  const Shared<Waits> state;
  Queue<int> empty{2};
  Queue<int> full{1};
  full.push(0);
  auto [left, right] = make_channel();
  state->mutex.lock();
  struct Case {
    std::function<void()> wait;
    std::function<void()> end;
  };
  const std::vector<Case> cases{
      {[&] { state->event.wait(); }, [&] { state->event.set(); }},
      {[&] { state->mutex.lock(); }, [&] { state->mutex.unlock(); }},
      {[&] { state->semaphore.acquire(); }, [&] { state->semaphore.release(); }},
      {[&] { empty.pop(); }, [&] { empty.push(1); }},
      {[&] { full.push(1); }, [&] { full.pop(); }},
      {[&, &side = left] { EXPECT_EQ(side.receive<int>().value, 1); },
       [&, &side = right] { side.send(1); }},
      {[&, &side = left] { EXPECT_EQ(wait_any(Deadline::never(), side), Indices{0}); },
       [&, &side = right] { side.send(1); }},
  };
  for (const Case& each : cases) {
    Gate ready;
    Forked child{[&] {
      count_signals(state->signals);
      ready.open();
      each.wait();
    }};
    ready.wait();
    state->signals = 0;
    for (int i = 1; i <= 2; ++i) {
      ASSERT_TRUE(falls_asleep(child));
      child.kill(SIGUSR1);
      ASSERT_TRUE(eventually([&] { return state->signals == i; }));
    }
    ASSERT_TRUE(falls_asleep(child));
    each.end();
    EXPECT_EQ(child.wait(), exited(0)) << "case " << (&each - cases.data());
  }
}

constexpr std::uint32_t kParties = 5;

struct Meeting {
  Barrier barrier{kParties};
  Barrier second{kParties};
  Mutex mutex;
  std::atomic<int> broken = 0;
  std::atomic<int> passed = 0;
};

// The body in kParties processes, each of which is a party of the barrier.
void meet(Meeting& meeting, const std::function<void()>& body) {
  std::vector<Forked> parties;
  parties.reserve(kParties);
  for (std::uint32_t i = 0; i < kParties; ++i) {
    parties.emplace_back([&] {
      meeting.barrier.attach();
      meeting.second.attach();
      body();
      meeting.barrier.detach();
      meeting.second.detach();
    });
  }
  for (Forked& party : parties) EXPECT_EQ(party.wait(), exited(0));
}

TEST(BarrierLikePython, that_one_party_aborts_is_broken_for_the_others) {
  const Shared<Meeting> meeting;
  meet(*meeting, [&] {
    const auto place = meeting->barrier.wait();
    ASSERT_TRUE(place.has_value());
    if (*place == kParties / 2) {
      meeting->barrier.abort();
    } else {
      ++(meeting->barrier.wait() ? meeting->passed : meeting->broken);
    }
  });
  EXPECT_EQ(meeting->passed, 0);
  EXPECT_EQ(meeting->broken, static_cast<int>(kParties) - 1);
  EXPECT_TRUE(meeting->barrier.is_broken());
}

// One party breaks what the others wait for; each of them is told so.
void break_for_the_others(Meeting& meeting, const std::function<void()>& break_it) {
  const auto place = meeting.barrier.wait();
  ASSERT_TRUE(place.has_value());
  if (*place == kParties / 2) {
    break_it();
  } else if (!meeting.barrier.wait()) {
    ++meeting.broken;
  }
}

TEST(BarrierLikePython, that_one_party_resets_lets_the_others_go_and_is_passed_by_all_again) {
  const Shared<Meeting> meeting;
  meet(*meeting, [&] {
    break_for_the_others(*meeting, [&] {
      ASSERT_TRUE(eventually([&] { return meeting->barrier.waiting() == kParties - 1; }));
      meeting->barrier.reset();
    });
    if (meeting->barrier.wait()) ++meeting->passed;
  });
  EXPECT_EQ(meeting->broken, static_cast<int>(kParties) - 1);
  EXPECT_EQ(meeting->passed, static_cast<int>(kParties));
}

TEST(BarrierLikePython, that_was_aborted_is_passed_again_after_a_reset) {
  const Shared<Meeting> meeting;
  meet(*meeting, [&] {
    break_for_the_others(*meeting, [&] { meeting->barrier.abort(); });
    if (meeting->second.wait() == kParties / 2) meeting->barrier.reset();
    meeting->second.wait();
    if (meeting->barrier.wait()) ++meeting->passed;
  });
  EXPECT_EQ(meeting->broken, static_cast<int>(kParties) - 1);
  EXPECT_EQ(meeting->passed, static_cast<int>(kParties));
}

TEST(BarrierLikePython, at_which_one_party_is_late_is_broken_for_all) {
  const Shared<Meeting> meeting;
  meet(*meeting, [&] {
    const auto place = meeting->barrier.wait();
    ASSERT_TRUE(place.has_value());
    if (*place == kParties / 2) {
      ASSERT_TRUE(eventually([&] { return meeting->barrier.is_broken(); }));
    }
    if (!meeting->barrier.wait_for(20ms)) ++meeting->broken;
  });
  EXPECT_EQ(meeting->broken, static_cast<int>(kParties));
}

TEST(BarrierLikePython, of_one_party_is_always_passed) {
  Barrier barrier{1};
  barrier.attach();
  EXPECT_EQ(barrier.wait(), 0U);
  EXPECT_EQ(barrier.wait(), 0U);
}

TEST(BarrierLikePython, keeps_the_messages_of_a_thousand_rounds_in_order) {
  constexpr int kRounds = test::kSanitized ? 100 : 1000;
  const Shared<Meeting> meeting;
  auto [left, right] = make_channel();
  Forked parties{[&, &side = right] {
    meet(*meeting, [&] {
      for (int round = 0; round < kRounds; ++round) {
        meeting->barrier.wait();
        const std::scoped_lock lock{meeting->mutex};
        side.send(round);
      }
    });
  }};
  for (int round = 0; round < kRounds; ++round) {
    for (std::uint32_t i = 0; i < kParties; ++i) {
      ASSERT_EQ(left.receive<int>().value, round);
    }
  }
  EXPECT_EQ(parties.wait(), exited(0));
}

struct Values {
  int number = 4343;
  double fraction = 3.625;
  short small = -232;
  long long large = 1LL << 33;
  char letter = 'x';
};

TEST(ValueLikePython, of_every_type_is_changed_by_a_child) {
  const Shared<Values> values;
  EXPECT_EQ(values->number, 4343);
  EXPECT_EQ(values->letter, 'x');
  Forked child{[&] { *values = {24234, -4.25, 234, 1LL << 34, 'y'}; }};
  EXPECT_EQ(child.wait(), exited(0));
  EXPECT_EQ(values->number, 24234);
  EXPECT_EQ(values->fraction, -4.25);
  EXPECT_EQ(values->small, 234);
  EXPECT_EQ(values->large, 1LL << 34);
  EXPECT_EQ(values->letter, 'y');
}

TEST(ValueLikePython, of_structures_and_arrays_is_changed_by_a_child_and_copied_as_a_value) {
  struct Everything {
    Values values;
    std::array<double, 10> row{};
    std::array<char, 20> text{};
  };
  const Shared<Everything> everything;
  everything->row.fill(1.5);
  std::strcpy(everything->text.data(), "hello");
  const Everything copy = *everything;
  Forked child{[&] {
    everything->values.number *= 2;
    for (double& number : everything->row) number *= 2;
    everything->text[0] = 'J';
  }};
  EXPECT_EQ(child.wait(), exited(0));
  EXPECT_EQ(everything->values.number, 2 * 4343);
  EXPECT_EQ(everything->row[9], 3.0);
  EXPECT_STREQ(everything->text.data(), "Jello");
  EXPECT_EQ(copy.values.number, 4343);
  EXPECT_EQ(copy.row[9], 1.5);
  EXPECT_STREQ(copy.text.data(), "hello");
}

TEST(ArrayLikePython, is_read_and_written_in_parts_and_summed_up_by_a_child) {
  std::array<int, 10> numbers{680, 626, 934, 821, 150, 233, 548, 982, 714, 831};
  const SharedArray<int> shared{numbers.size()};
  std::ranges::copy(numbers, shared.begin());
  EXPECT_EQ(shared.size(), numbers.size());
  EXPECT_EQ(shared[3], numbers[3]);
  EXPECT_TRUE(
      std::ranges::equal(std::span{shared}.subspan(2, 5), std::span{numbers}.subspan(2, 5)));
  std::iota(numbers.begin() + 4, numbers.begin() + 8, 1);
  std::iota(shared.begin() + 4, shared.begin() + 8, 1);
  EXPECT_TRUE(std::ranges::equal(shared, numbers));
  std::partial_sum(numbers.begin(), numbers.end(), numbers.begin());
  Forked child{[&] { std::partial_sum(shared.begin(), shared.end(), shared.begin()); }};
  EXPECT_EQ(child.wait(), exited(0));
  EXPECT_TRUE(std::ranges::equal(shared, numbers));
}

TEST(ArrayLikePython, is_zero_at_first_however_often_one_is_made) {
  for (int i = 0; i < 3; ++i) {
    const SharedArray<int> numbers{10};
    EXPECT_EQ(std::ranges::count(numbers, 0), 10);
    std::iota(numbers.begin(), numbers.end(), 1);
  }
}

TEST(ChannelLikePython, brings_back_what_a_child_echoes) {
  auto [here, there] = make_channel();
  Forked echo{[&, &mine = here, &side = there] {
    mine.close();
    std::vector<std::byte> message;
    while (side.receive(message).outcome == Outcome::message) side.send(message);
  }};
  there.close();

  here.send(std::vector<double>{1, 2.25});
  EXPECT_EQ(here.receive<std::vector<double>>().value, (std::vector<double>{1, 2.25}));
  here.send(bytes_of("hello world"));
  EXPECT_EQ(receive_text(here), "hello world");

  std::array<int, 10> buffer{};
  for (const std::size_t offset : {0U, 3U}) {
    buffer.fill(0);
    here.send(std::array{1, 2, 3, 4});
    EXPECT_EQ(here.receive(std::as_writable_bytes(std::span{buffer}.subspan(offset))).size,
              4 * sizeof(int));
    EXPECT_EQ(std::accumulate(buffer.begin(), buffer.end(), 0), 10);
    EXPECT_EQ(buffer.at(offset + 3), 4);
  }
  here.send(bytes_of(std::string(110, 'x')));
  EXPECT_THROW(here.receive(std::as_writable_bytes(std::span{buffer})), Error);

  EXPECT_EQ(wait_any(Deadline::now(), here), Indices{});
  EXPECT_EQ(wait_any(Deadline::in(-1s), here), Indices{});
  EXPECT_GE(refusal([&] { return !wait_any(Deadline::in(80ms), here).empty(); }), 80ms);
  here.send(0);
  EXPECT_EQ(wait_any(Deadline::in(kPatience), here), Indices{0});
  EXPECT_EQ(here.receive<int>().value, 0);

  const std::string large(std::size_t{16} << 20, 'X');
  here.send(bytes_of(large));
  EXPECT_TRUE(receive_text(here) == large);

  here.close();
  EXPECT_EQ(echo.wait(), exited(0));
}

TEST(ChannelLikePython, sends_any_part_of_what_there_is) {
  auto [left, right] = make_channel();
  const std::string_view alphabet = "abcdefghijklmnopqrstuvwxyz";
  for (const std::string_view part : {alphabet, alphabet.substr(5), alphabet.substr(7, 8)}) {
    left.send(bytes_of(part));
    EXPECT_EQ(receive_text(right), part);
  }
}

// All numbers below 256 are taken in the child.
TEST(ChannelLikePython, passes_descriptors_with_large_numbers_to_large_numbers) {
  auto [left, right] = make_channel();
  auto [reader, writer] = make_pipe();
  Forked child{[&, &side = right] {
    while (::fcntl(side.fd(), F_DUPFD_CLOEXEC, 0) < 256) continue;
    auto received = side.receive<int>();
    EXPECT_GT(received.descriptors[0].fd(), 256);
    write_full(received.descriptors[0].fd(), "bar", "pipe");
  }};
  const UniqueFd large{::fcntl(writer.fd(), F_DUPFD_CLOEXEC, 300)};
  ASSERT_GE(large.fd(), 300);
  left.send(1, {{large.fd()}});
  EXPECT_EQ(child.wait(), exited(0));
  std::array<std::byte, 3> buffer{};
  EXPECT_EQ(reader.read_full(buffer), 3U);
  EXPECT_EQ(text_of(buffer), "bar");
}

TEST(ChannelLikePython, says_that_no_descriptor_came_with_a_message) {
  auto [left, right] = make_channel();
  Forked child{[&, &side = left] { side.send(1); }};
  const auto received = right.receive<int>();
  EXPECT_EQ(received.descriptor_count, 0U);
  EXPECT_FALSE(received.descriptors[0].valid());
  EXPECT_FALSE(received.descriptors_lost);
  EXPECT_EQ(child.wait(), exited(0));
}

TEST(ChannelLikePython, that_is_closed_or_none_is_an_error_to_use) {
  auto [left, right] = make_channel();
  left.close();
  Channel none{UniqueFd{}};
  for (Channel* channel : {&left, &none}) {
    EXPECT_THROW(channel->send(1), Error);
    EXPECT_THROW(channel->receive<int>(), Error);
    EXPECT_FALSE(channel->ready());
  }
}

TEST(ChannelLikePython, keeps_messages_apart_however_often_it_is_asked_for_them) {
  auto [left, right] = make_channel();
  EXPECT_FALSE(left.ready());
  const std::vector<std::string> texts{"hello", "a", "b", "bye", "lop", "cd"};
  Forked child{[&, &side = right] {
    for (const std::string& text : texts) side.send(bytes_of(text));
  }};
  for (const std::string& text : texts) {
    for (int i = 0; i < 2; ++i) EXPECT_EQ(wait_any(Deadline::in(kPatience), left), Indices{0});
    EXPECT_TRUE(left.ready());
    EXPECT_EQ(receive_text(left), text);
  }
  EXPECT_EQ(child.wait(), exited(0));
}

TEST(ChannelLikePython, loses_nothing_by_a_process_that_only_looks) {
  auto [left, right] = make_channel();
  Forked looks{
      [&, &side = right] { EXPECT_EQ(wait_any(Deadline::in(kPatience), side), Indices{0}); }};
  ASSERT_TRUE(falls_asleep(looks));
  left.send(bytes_of("first"));
  left.send(bytes_of("second"));
  left.close();
  EXPECT_EQ(looks.wait(), exited(0));
  EXPECT_EQ(receive_text(right), "first");
}

TEST(ChannelLikePython, brings_pipes_in_either_direction_to_another_process) {
  auto [left, right] = make_channel();
  Forked child{[&, &side = right] {
    PipeWriter writer{std::move(side.receive<int>().descriptors[0])};
    writer.write_full("all is well");
    writer.close();
    auto received = side.receive<int>();
    side.send(bytes_of(read_to_end(received.descriptors[0].fd(), "pipe")));
  }};
  auto there = make_pipe();
  left.send(1, {{there.writer.fd()}});
  there.writer.close();
  EXPECT_EQ(read_to_end(there.reader.fd(), "pipe"), "all is well");

  auto back = make_pipe();
  left.send(1, {{back.reader.fd()}});
  back.reader.close();
  back.writer.write_full("foobar");
  back.writer.close();
  EXPECT_EQ(receive_text(left), "foobar");
  EXPECT_EQ(child.wait(), exited(0));
}

struct Bound {
  UniqueFd listener;
  sockaddr_storage address{};
  socklen_t length = sizeof(sockaddr_storage);
};

// Listens at an address that the kernel chooses: for AF_UNIX an abstract name, unix(7).
Bound listen_somewhere(int family, int type) {
  Bound bound{.listener = UniqueFd{::socket(family, type | SOCK_CLOEXEC, 0)}};
  sockaddr_in any{};
  any.sin_family = static_cast<sa_family_t>(family);
  any.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  auto* address = reinterpret_cast<sockaddr*>(&any);
  const socklen_t length = family == AF_UNIX ? sizeof(sa_family_t) : sizeof any;
  EXPECT_EQ(::bind(bound.listener.fd(), address, length), 0);
  EXPECT_EQ(::listen(bound.listener.fd(), 8), 0);
  EXPECT_EQ(::getsockname(bound.listener.fd(), reinterpret_cast<sockaddr*>(&bound.address),
                          &bound.length),
            0);
  return bound;
}

UniqueFd connect_to(const Bound& bound, int type) {
  UniqueFd socket{::socket(bound.address.ss_family, type | SOCK_CLOEXEC, 0)};
  EXPECT_EQ(::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&bound.address), bound.length),
            0);
  return socket;
}

UniqueFd accept_from(const Bound& bound) {
  return UniqueFd{::accept4(bound.listener.fd(), nullptr, nullptr, SOCK_CLOEXEC)};
}

TEST(ListenerLikePython, accepts_a_channel_from_a_client_that_has_gone_already) {
  const Bound bound = listen_somewhere(AF_UNIX, SOCK_SEQPACKET);
  Forked client{[&] {
    Channel channel{connect_to(bound, SOCK_SEQPACKET)};
    channel.send(bytes_of("hello"));
  }};
  EXPECT_EQ(client.wait(), exited(0));
  Channel channel{accept_from(bound)};
  EXPECT_EQ(peer_credentials(channel).pid, client.pid());
  EXPECT_EQ(receive_text(channel), "hello");
  EXPECT_EQ(receive_text(channel), "(closed)");
}

TEST(ListenerLikePython, has_its_connections_taken_to_other_processes) {
  auto [left, right] = make_channel();
  const Bound bound = listen_somewhere(AF_INET, SOCK_STREAM);
  Forked listener{[&, &side = right] {
    const UniqueFd accepted = accept_from(bound);
    side.send(1, {{accepted.fd()}});
  }};
  Forked client{[&] { write_full(connect_to(bound, SOCK_STREAM).fd(), "a socket", "socket"); }};
  const auto received = left.receive<int>();
  EXPECT_EQ(read_to_end(received.descriptors[0].fd(), "socket"), "a socket");
  EXPECT_EQ(listener.wait(), exited(0));
  EXPECT_EQ(client.wait(), exited(0));
}

TEST(WaitLikePython, takes_all_that_children_write_to_their_pipes_until_the_end_of_each) {
  struct Record {
    int number;
    pid_t pid;
    auto operator<=>(const Record&) const = default;
  };
  constexpr std::size_t kChildren = 4;
  std::vector<PipeReader> readers;
  std::vector<Forked> children;
  std::vector<Record> expected;
  for (std::size_t c = 0; c < kChildren; ++c) {
    auto [reader, writer] = make_pipe();
    readers.push_back(std::move(reader));
    children.emplace_back([&, &end = writer] {
      for (int i = 0; i < 10; ++i) {
        const Record record{i, ::getpid()};
        end.write_full(std::as_bytes(std::span{&record, 1}));
      }
    });
    for (int i = 0; i < 10; ++i) expected.push_back({i, children.back().pid()});
  }
  std::vector<Record> records;
  while (!readers.empty()) {
    std::vector<Waitable> ends;
    for (PipeReader& reader : readers) ends.push_back(waitable(reader));
    const Indices ready = wait_any(Deadline::in(kPatience), ends);
    ASSERT_FALSE(ready.empty());
    PipeReader& reader = readers[ready.back()];
    Record record{};
    if (reader.read_full(std::as_writable_bytes(std::span{&record, 1})) == sizeof record) {
      records.push_back(record);
    } else {
      readers.erase(readers.begin() + static_cast<std::ptrdiff_t>(ready.back()));
    }
  }
  std::ranges::sort(records);
  std::ranges::sort(expected);
  EXPECT_EQ(records, expected);
  for (Forked& child : children) EXPECT_EQ(child.wait(), exited(0));
}

TEST(WaitLikePython, takes_all_that_clients_write_to_their_sockets) {
  constexpr std::size_t kClients = 4;
  const Bound bound = listen_somewhere(AF_INET, SOCK_STREAM);
  std::vector<Forked> clients;
  std::vector<UniqueFd> sockets;
  for (std::size_t c = 0; c < kClients; ++c) {
    clients.emplace_back([&] {
      const UniqueFd socket = connect_to(bound, SOCK_STREAM);
      for (int i = 0; i < 10; ++i) write_full(socket.fd(), std::to_string(i) + "\n", "socket");
    });
  }
  for (std::size_t c = 0; c < kClients; ++c) sockets.push_back(accept_from(bound));
  std::vector<std::string> texts(kClients);
  for (std::size_t open = kClients; open > 0;) {
    std::vector<Waitable> waitables;
    for (const UniqueFd& socket : sockets) waitables.push_back({.fd = socket.fd()});
    const Indices ready = wait_any(Deadline::in(kPatience), waitables);
    ASSERT_FALSE(ready.empty());
    for (const std::size_t index : ready) {
      std::array<char, 32> buffer{};
      const ssize_t count = ::read(sockets[index].fd(), buffer.data(), buffer.size());
      ASSERT_GE(count, 0);
      texts[index].append(buffer.data(), static_cast<std::size_t>(count));
      if (count > 0) continue;
      sockets[index].reset();
      --open;
    }
  }
  for (const std::string& text : texts) EXPECT_EQ(text, "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
  for (Forked& client : clients) EXPECT_EQ(client.wait(), exited(0));
}

}  // namespace
}  // namespace procpool::ipc
