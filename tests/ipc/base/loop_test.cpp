#include "ipc/base/loop.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/pipe.hpp"
#include "tests/support/eventually.hpp"

namespace procpool {
namespace {

using namespace std::chrono_literals;
using ipc::make_pipe;
using test::kPatience;

UniqueFd make_event(unsigned value) {
  UniqueFd event{::eventfd(value, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!event.valid()) throw_errno("eventfd");
  return event;
}

// What already is due happens in one turn.
void turn(Loop& loop) {
  loop.run_once(Deadline::now());
}

TEST(Loop, calls_back_when_there_is_something_to_read) {
  Loop loop;
  auto [reader, writer] = make_pipe();
  std::string read;
  const Loop::Watch watch{loop, reader.fd(), Interest::read,
                          [&, &in = reader](const Readiness& ready) {
                            EXPECT_TRUE(ready.readable);
                            std::array<std::byte, 8> buffer;
                            const auto n = in.read_some(buffer);
                            read.append(reinterpret_cast<const char*>(buffer.data()), n);
                            if (n == 0) loop.stop();
                          }};
  turn(loop);
  EXPECT_EQ(read, "");
  writer.write_full("hello");
  writer.close();
  loop.run();
  EXPECT_EQ(read, "hello");
}

TEST(Loop, runs_until_it_is_told_to_stop_and_may_run_again) {
  Loop loop;
  int turns = 0;
  Loop::Timer timer{loop, [&] {
                      if (++turns % 3 == 0) return loop.stop();
                      timer.set(Deadline::now());
                    }};
  for (const int expected : {3, 6}) {
    timer.set(Deadline::now());
    loop.run();
    EXPECT_EQ(turns, expected);
  }
}

TEST(Loop, run_once_ends_at_its_deadline) {
  Loop loop;
  const auto start = Deadline::Clock::now();
  loop.run_once(Deadline::in(20ms));
  EXPECT_GE(Deadline::Clock::now() - start, 20ms);
  EXPECT_GE(loop.now() - start, 20ms);
}

TEST(Loop, works_with_every_back_end) {
  for (const auto backend : {Poller::Backend::select, Poller::Backend::poll,
                             Poller::Backend::epoll_level, Poller::Backend::epoll_edge}) {
    Loop loop{backend};
    const UniqueFd event = make_event(1);
    int calls = 0;
    const Loop::Watch watch{loop, event.fd(), Interest::read, [&](const Readiness&) { ++calls; }};
    turn(loop);
    EXPECT_EQ(calls, 1) << name_of(backend);
  }
}

TEST(LoopWatch, follows_its_interest) {
  Loop loop;
  auto [reader, writer] = make_pipe();
  int calls = 0;
  Loop::Watch watch{loop, writer.fd(), Interest::none, [&](const Readiness&) { ++calls; }};
  turn(loop);
  EXPECT_EQ(calls, 0);
  watch.set_interest(Interest::write);
  EXPECT_EQ(watch.interest(), Interest::write);
  turn(loop);
  EXPECT_EQ(calls, 1);
  watch.set_interest(Interest::none);
  turn(loop);
  EXPECT_EQ(calls, 1);
}

TEST(LoopWatch, is_over_when_it_is_destroyed) {
  Loop loop;
  const UniqueFd event = make_event(1);
  int calls = 0;
  std::optional<Loop::Watch> watch;
  watch.emplace(loop, event.fd(), Interest::read, [&](const Readiness&) { ++calls; });
  turn(loop);
  watch.reset();
  turn(loop);
  EXPECT_EQ(calls, 1);
  watch.emplace(loop, event.fd(), Interest::read, [&](const Readiness&) { ++calls; });
  turn(loop);
  EXPECT_EQ(calls, 2);
}

TEST(LoopWatch, of_a_descriptor_that_is_watched_already_is_refused) {
  Loop loop;
  const UniqueFd event = make_event(0);
  const Loop::Watch watch{loop, event.fd(), Interest::read, [](const Readiness&) {}};
  EXPECT_THROW((Loop::Watch{loop, event.fd(), Interest::read, [](const Readiness&) {}}), Error);
}

TEST(LoopWatch, may_destroy_itself_in_its_call_back) {
  Loop loop;
  const UniqueFd event = make_event(1);
  int calls = 0;
  std::unique_ptr<Loop::Watch> watch;
  watch = std::make_unique<Loop::Watch>(loop, event.fd(), Interest::read, [&](const Readiness&) {
    watch.reset();
    ++calls;  // what the call-back holds must outlive the watch
  });
  turn(loop);
  turn(loop);
  EXPECT_EQ(calls, 1);
}

TEST(LoopWatch, is_not_called_when_another_one_of_the_same_turn_destroyed_it) {
  Loop loop;
  const UniqueFd event = make_event(1);
  const UniqueFd other_event = make_event(1);
  int calls = 0;
  std::unique_ptr<Loop::Watch> first;
  std::unique_ptr<Loop::Watch> second;
  first = std::make_unique<Loop::Watch>(loop, event.fd(), Interest::read, [&](const Readiness&) {
    second.reset();
    ++calls;
  });
  second =
      std::make_unique<Loop::Watch>(loop, other_event.fd(), Interest::read, [&](const Readiness&) {
        first.reset();
        ++calls;
      });
  turn(loop);
  EXPECT_EQ(calls, 1) << "whichever came first has ended the other";
}

TEST(LoopWatch, made_in_a_call_back_is_called_in_the_next_turn) {
  Loop loop;
  const UniqueFd event = make_event(1);
  const UniqueFd other_event = make_event(1);
  int calls = 0;
  std::optional<Loop::Watch> made;
  Loop::Watch maker{loop, event.fd(), Interest::read, [&](const Readiness&) {
                      maker.set_interest(Interest::none);
                      made.emplace(loop, other_event.fd(), Interest::read,
                                   [&](const Readiness&) { ++calls; });
                    }};
  turn(loop);
  EXPECT_EQ(calls, 0);
  turn(loop);
  EXPECT_EQ(calls, 1);
}

TEST(LoopWatch, of_the_same_descriptor_may_be_made_anew_in_its_call_back) {
  Loop loop;
  const UniqueFd event = make_event(1);
  std::vector<int> calls;
  std::optional<Loop::Watch> watch;
  watch.emplace(loop, event.fd(), Interest::read, [&](const Readiness&) {
    calls.push_back(1);
    watch.emplace(loop, event.fd(), Interest::read, [&](const Readiness&) { calls.push_back(2); });
  });
  turn(loop);
  turn(loop);
  EXPECT_EQ(calls, (std::vector{1, 2}));
}

TEST(Loop, loses_nothing_by_an_exception_of_a_call_back) {
  Loop loop;
  const UniqueFd event = make_event(1);
  const UniqueFd other_event = make_event(1);
  int calls = 0;
  Loop::Watch thrower{loop, event.fd(), Interest::read, [&](const Readiness&) {
                        thrower.set_interest(Interest::none);
                        throw std::runtime_error{"call-back"};
                      }};
  Loop::Watch counter{loop, other_event.fd(), Interest::read, [&](const Readiness&) {
                        counter.set_interest(Interest::none);
                        ++calls;
                      }};
  Loop::Timer timer{loop, [&] { ++calls; }};
  timer.set(Deadline::now());
  EXPECT_THROW(
      {
        turn(loop);
        turn(loop);
      },
      std::runtime_error);
  turn(loop);
  EXPECT_EQ(calls, 2);
}

TEST(LoopTimer, fires_once_and_not_before_its_time) {
  Loop loop;
  int calls = 0;
  Deadline::Clock::time_point fired;
  Loop::Timer timer{loop, [&] {
                      ++calls;
                      fired = Deadline::Clock::now();
                    }};
  const auto due = Deadline::in(20ms);
  timer.set(due);
  EXPECT_EQ(timer.deadline(), due);
  turn(loop);
  EXPECT_EQ(calls, 0);
  while (calls == 0) loop.run_once(Deadline::in(kPatience));
  EXPECT_GE(fired, due.time());
  EXPECT_TRUE(timer.deadline().is_never());
  loop.run_once(Deadline::in(5ms));
  EXPECT_EQ(calls, 1);
}

TEST(LoopTimer, fires_in_the_order_of_the_deadlines) {
  Loop loop;
  std::vector<int> order;
  Loop::Timer third{loop, [&] { order.push_back(3); }};
  Loop::Timer first{loop, [&] { order.push_back(1); }};
  Loop::Timer second{loop, [&] { order.push_back(2); }};
  const auto start = Deadline::Clock::now();
  third.set(Deadline::after(start, 3ms));
  first.set(Deadline::after(start, 1ms));
  second.set(Deadline::after(start, 2ms));
  while (order.size() < 3) loop.run_once(Deadline::in(kPatience));
  EXPECT_EQ(order, (std::vector{1, 2, 3}));
}

TEST(LoopTimer, is_postponed_by_being_set_later) {
  Loop loop;
  int calls = 0;
  Loop::Timer timer{loop, [&] { ++calls; }};
  const auto start = Deadline::Clock::now();
  timer.set(Deadline::after(start, 5ms));
  timer.set(Deadline::after(start, 40ms));
  while (calls == 0) loop.run_once(Deadline::in(kPatience));
  EXPECT_GE(Deadline::Clock::now() - start, 40ms);
  EXPECT_EQ(calls, 1);
}

TEST(LoopTimer, is_brought_forward_by_being_set_earlier) {
  Loop loop;
  int calls = 0;
  Loop::Timer timer{loop, [&] { ++calls; }};
  timer.set(Deadline::in(1h));
  timer.set(Deadline::now());
  turn(loop);
  EXPECT_EQ(calls, 1);
}

TEST(LoopTimer, does_not_fire_when_it_is_cancelled_or_set_to_never) {
  Loop loop;
  int calls = 0;
  Loop::Timer cancelled{loop, [&] { ++calls; }};
  Loop::Timer never{loop, [&] { ++calls; }};
  cancelled.set(Deadline::now());
  cancelled.cancel();
  cancelled.cancel();
  never.set(Deadline::now());
  never.set(Deadline::never());
  turn(loop);
  EXPECT_EQ(calls, 0);
}

TEST(LoopTimer, may_destroy_itself_in_its_call_back) {
  Loop loop;
  int calls = 0;
  std::unique_ptr<Loop::Timer> timer;
  timer = std::make_unique<Loop::Timer>(loop, [&] {
    timer.reset();
    ++calls;  // what the call-back holds must outlive the timer
  });
  timer->set(Deadline::now());
  turn(loop);
  turn(loop);
  EXPECT_EQ(calls, 1);
}

TEST(LoopTimer, is_not_called_when_another_one_due_at_once_destroyed_it) {
  Loop loop;
  int calls = 0;
  std::unique_ptr<Loop::Timer> first;
  std::unique_ptr<Loop::Timer> second;
  first = std::make_unique<Loop::Timer>(loop, [&] {
    second.reset();
    ++calls;
  });
  second = std::make_unique<Loop::Timer>(loop, [&] {
    first.reset();
    ++calls;
  });
  first->set(Deadline::now());
  second->set(Deadline::now());
  turn(loop);
  EXPECT_EQ(calls, 1);
}

// Has both a watch and a timer, and is gone after the call that it is told by.
struct Told final : Loop::Receiver {
  Told(Loop& loop, int fd, std::unique_ptr<Told>& its_owner, std::string& its_story)
      : watch{loop, fd, Interest::read, *this},
        timer{loop, *this},
        owner{its_owner},
        story{its_story} {}

  void on_ready(const Readiness& readiness) override { end(readiness.readable ? "ready" : "?"); }
  void on_deadline() override { end("deadline"); }
  void end(std::string_view what) {
    story.append(what);
    owner.reset();
  }

  Loop::Watch watch;
  Loop::Timer timer;
  std::unique_ptr<Told>& owner;
  std::string& story;
};

TEST(LoopReceiver, is_told_of_what_is_ready_and_may_destroy_itself) {
  Loop loop;
  const UniqueFd event = make_event(1);
  std::string story;
  std::unique_ptr<Told> told;
  told = std::make_unique<Told>(loop, event.fd(), told, story);
  told->timer.set(Deadline::now());  // it is gone when that would be told
  turn(loop);
  turn(loop);
  EXPECT_EQ(story, "ready");
}

TEST(LoopReceiver, is_told_of_its_deadline_and_may_destroy_itself) {
  Loop loop;
  const UniqueFd event = make_event(0);
  std::string story;
  std::unique_ptr<Told> told;
  told = std::make_unique<Told>(loop, event.fd(), told, story);
  told->timer.set(Deadline::now());
  turn(loop);
  turn(loop);
  EXPECT_EQ(story, "deadline");
}

TEST(LoopTimer, that_always_sets_itself_again_does_not_keep_descriptors_waiting) {
  Loop loop;
  const UniqueFd event = make_event(1);
  Loop::Timer timer{loop, [&] { timer.set(Deadline::now()); }};
  timer.set(Deadline::now());
  const Loop::Watch watch{loop, event.fd(), Interest::read, [&](const Readiness&) { loop.stop(); }};
  loop.run();
}

TEST(LoopTimer, call_back_that_throws_has_fired_and_the_others_still_do) {
  Loop loop;
  int calls = 0;
  Loop::Timer thrower{loop, [] { throw std::runtime_error{"call-back"}; }};
  Loop::Timer other{loop, [&] { ++calls; }};
  const auto start = Deadline::Clock::now();
  thrower.set(Deadline::at(start));
  other.set(Deadline::after(start, 1ns));
  EXPECT_THROW(turn(loop), std::runtime_error);
  turn(loop);
  EXPECT_EQ(calls, 1);
}

// Whatever is set, postponed, brought forward and cancelled: each timer that is due at the end
// fires once, in the order of the deadlines, and no other does.
TEST(LoopTimer, keeps_its_promises_for_any_history) {
  for (unsigned seed = 0; seed < 30; ++seed) {
    std::mt19937 random{seed};
    Loop loop;
    std::vector<Deadline> expected(200, Deadline::never());
    std::vector<std::size_t> fired;
    std::vector<std::unique_ptr<Loop::Timer>> timers;
    timers.reserve(expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      timers.push_back(std::make_unique<Loop::Timer>(loop, [&fired, i] { fired.push_back(i); }));
    }
    // All of it lies in the past, and nothing fires before the first turn.
    const auto start = Deadline::Clock::now() - 1h;
    for (int change = 0; change < 3000; ++change) {
      const std::size_t i = random() % timers.size();
      switch (random() % 8) {
        case 0:
          timers[i]->cancel();
          expected[i] = Deadline::never();
          break;
        case 1:
          timers[i] = std::make_unique<Loop::Timer>(loop, [&fired, i] { fired.push_back(i); });
          expected[i] = Deadline::never();
          break;
        default:
          expected[i] = Deadline::after(start, std::chrono::microseconds{random() % 1000});
          timers[i]->set(expected[i]);
      }
    }
    std::size_t due = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(timers[i]->deadline(), expected[i]);
      due += expected[i].is_never() ? 0 : 1;
    }
    turn(loop);
    ASSERT_EQ(fired.size(), due) << "seed " << seed;
    EXPECT_TRUE(
        std::is_sorted(fired.begin(), fired.end(),
                       [&](std::size_t a, std::size_t b) { return expected[a] < expected[b]; }))
        << "seed " << seed;
    for (const auto& timer : timers) EXPECT_TRUE(timer->deadline().is_never());
  }
}

}  // namespace
}  // namespace procpool
