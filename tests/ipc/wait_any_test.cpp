#include "ipc/wait_any.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/channel.hpp"
#include "ipc/event.hpp"
#include "ipc/message_queue.hpp"
#include "ipc/pipe.hpp"
#include "ipc/queue.hpp"
#include "ipc/shared.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/shared_name.hpp"

namespace procpool::ipc {
namespace {

using namespace std::chrono_literals;
using test::Forked;
using test::Gate;
using test::kPatience;

using Indices = std::vector<std::size_t>;

// A process, by its pidfd.
struct ProcessEnd {
  int pidfd;
  int fd() const { return pidfd; }
};

TEST(WaitAny, returns_all_that_are_ready) {
  auto [left, right] = make_channel();
  auto [reader, writer] = make_pipe();
  Queue<int> queue{8};
  EXPECT_EQ(wait_any(Deadline::now(), right, reader, queue), Indices{});
  queue.push(1);
  EXPECT_EQ(wait_any(Deadline::never(), right, reader, queue), Indices{2});
  left.send(1);
  EXPECT_EQ(wait_any(Deadline::never(), right, reader, queue), (Indices{0, 2}));
  writer.close();
  EXPECT_EQ(wait_any(Deadline::never(), right, reader, queue), (Indices{0, 1, 2}))
      << "the end is something to know, too";
}

TEST(WaitAny, is_woken_by_any_kind_of_object) {
  const auto name = test::shared_name("mq");
  auto [left, right] = make_channel();
  auto [reader, writer] = make_pipe();
  auto mail = MessageQueue::open(name, {.capacity = 2, .message_size = 16});
  MessageQueue::unlink(name);
  Queue<int> queue{8};
  const Shared<Event> event;
  const std::vector<std::function<void()>> actions{
      [&, &side = left] { side.send(1); },
      [&, &end = writer] { end.write_full("x"); },
      [&] { mail.send({}); },
      [&] { queue.push(1); },
      [&] { event->set(); },
      [] {},
  };
  for (std::size_t i = 0; i < actions.size(); ++i) {
    Gate start;
    const Forked child{[&] {
      start.wait();
      actions[i]();
      if (i + 1 < actions.size()) ::pause();
    }};
    ProcessEnd end{child.pidfd()};
    start.open();
    EXPECT_EQ(wait_any(Deadline::in(kPatience), right, reader, mail, queue, *event, end),
              Indices{i});
    std::array<std::byte, 16> buffer;
    right.try_receive(buffer);
    if (reader.ready()) reader.read_some(buffer);
    mail.try_receive(buffer);
    queue.try_pop();
    event->clear();
  }
}

TEST(WaitAny, returns_nothing_when_the_deadline_comes_first) {
  auto [left, right] = make_channel();
  const Shared<Event> event;
  const auto start = Deadline::Clock::now();
  EXPECT_EQ(wait_any(Deadline::in(20ms), right), Indices{});
  EXPECT_EQ(wait_any(Deadline::in(20ms), right, *event), Indices{});
  EXPECT_EQ(wait_any(Deadline::in(20ms), std::span<const Waitable>{}), Indices{});
  EXPECT_GE(Deadline::Clock::now() - start, 60ms);
}

TEST(WaitAny, takes_as_many_as_there_are) {
  constexpr std::size_t kPipes = 100;
  std::vector<Pipe> pipes;
  std::vector<Waitable> ends;
  pipes.reserve(kPipes);
  ends.reserve(kPipes);
  for (std::size_t i = 0; i < kPipes; ++i) pipes.push_back(make_pipe());
  for (Pipe& pipe : pipes) ends.push_back(waitable(pipe.reader));
  pipes[99].writer.write_full("x");
  pipes[7].writer.write_full("x");
  EXPECT_EQ(wait_any(Deadline::never(), ends), (Indices{7, 99}));
}

double processor_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// A descriptor that stays readable although its object is not ready: somebody else took what was
// there, or a hostile peer rings for nothing.
TEST(WaitAny, sleeps_although_a_descriptor_says_for_ever_that_there_is_something) {
  auto [reader, writer] = make_pipe();
  writer.write_full("never read");
  auto [left, right] = make_channel();
  const std::vector<Waitable> objects{{.fd = reader.fd(), .ready = [] { return false; }},
                                      waitable(right)};
  const double before = processor_seconds();
  EXPECT_EQ(wait_any(Deadline::in(300ms), objects), Indices{});
  EXPECT_LT(processor_seconds() - before, 0.1);
  const Forked child{[&, &side = left] { side.send(1); }};
  EXPECT_EQ(wait_any(Deadline::in(kPatience), objects), Indices{1});
}

TEST(WaitAny, refuses_a_descriptor_that_is_closed) {
  auto [left, right] = make_channel();
  const std::vector<Waitable> objects{{.fd = right.fd()}};
  right.close();
  EXPECT_THROW(wait_any(Deadline::never(), objects), Error);
}

TEST(WaitAny, goes_on_when_who_should_have_woken_it_is_killed) {
  Queue<int> queue{8};
  auto [left, right] = make_channel();
  Gate started;
  Forked child{[&, &side = left] {
    started.open();
    for (;;) {
      queue.push(1);
      side.send(1);
    }
  }};
  left.close();
  started.wait();
  EXPECT_FALSE(wait_any(Deadline::in(kPatience), queue, right).empty());
  child.kill(SIGKILL);
  child.wait();
  while (queue.try_pop()) continue;
  std::array<std::byte, 16> buffer;
  while (right.try_receive(buffer).outcome == Channel::Outcome::message) continue;
  EXPECT_EQ(wait_any(Deadline::in(kPatience), queue, right), Indices{1}) << "it is closed";
}

}  // namespace
}  // namespace procpool::ipc
