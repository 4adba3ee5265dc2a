// What coroutines wait for: time, descriptors, and what a peer that leaves ends.
#include "servers/net/wait.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/pipe.hpp"
#include "servers/net/interrupt.hpp"
#include "servers/net/stream.hpp"
#include "servers/net/task.hpp"

namespace procpool::net {
namespace {

using namespace std::chrono_literals;

TaskGroup make_group() {
  return TaskGroup{[](std::exception_ptr error) { std::rethrow_exception(error); }};
}

TEST(Wait, ends_with_its_deadline) {
  Loop loop;
  std::optional<bool> result;
  auto tasks = make_group();
  const auto wait = [](Loop& in, std::optional<bool>& out) -> Task<> {
    out = co_await sleep_until(in, Deadline::in(1ms));
  };
  tasks.spawn(wait(loop, result));
  EXPECT_FALSE(result);
  while (!result) loop.run_once(Deadline::never());
  EXPECT_FALSE(*result);
}

TEST(Wait, ends_when_the_descriptor_is_ready) {
  Loop loop;
  auto [reader, writer] = ipc::make_pipe();
  std::optional<bool> result;
  auto tasks = make_group();
  const auto wait = [](Loop& in, int fd, std::optional<bool>& out) -> Task<> {
    out = co_await ready(in, fd, Interest::read, Deadline::never());
  };
  tasks.spawn(wait(loop, reader.fd(), result));
  loop.run_once(Deadline::now());
  EXPECT_FALSE(result);
  ASSERT_EQ(::write(writer.fd(), "x", 1), 1);
  while (!result) loop.run_once(Deadline::never());
  EXPECT_TRUE(*result);
}

TEST(Wait, may_be_given_up) {
  Loop loop;
  auto [reader, writer] = ipc::make_pipe();
  bool gone_on = false;
  const auto wait = [](Loop& in, int fd, bool& out) -> Task<> {
    co_await ready(in, fd, Interest::read, Deadline::in(1ms));
    out = true;
  };
  {
    auto tasks = make_group();
    tasks.spawn(wait(loop, reader.fd(), gone_on));
  }
  loop.run_once(Deadline::in(5ms));
  EXPECT_FALSE(gone_on);
}

class WhileConnected : public testing::Test {
 protected:
  WhileConnected() {
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.data()) < 0)
      throw_errno("socketpair");
    stream_.emplace(loop_, UniqueFd{pair[0]});
    peer_ = UniqueFd{pair[1]};
  }

  Task<int> answer_after(Deadline deadline) {
    co_await sleep_until(loop_, deadline);
    co_return 42;
  }
  Task<> ask(Task<int> answer, Deadline deadline) {
    const auto result = co_await stream_->while_connected(std::move(answer).operator co_await(),
                                                          deadline, &interrupt_);
    value_ = result.value;
    error_ = result.error;
    done_ = true;
  }
  void run() {
    while (!done_) loop_.run_once(Deadline::never());
  }

  Loop loop_;
  std::optional<Stream> stream_;
  UniqueFd peer_;
  Interrupt interrupt_;
  std::optional<int> value_;
  int error_ = 0;
  bool done_ = false;
  TaskGroup tasks_ = make_group();
};

TEST_F(WhileConnected, gives_what_was_awaited) {
  tasks_.spawn(ask(answer_after(Deadline::in(1ms)), Deadline::never()));
  run();
  EXPECT_EQ(value_, 42);
  EXPECT_EQ(error_, 0);
}

TEST_F(WhileConnected, ends_when_the_peer_has_left) {
  tasks_.spawn(ask(answer_after(Deadline::never()), Deadline::never()));
  loop_.run_once(Deadline::now());
  EXPECT_FALSE(done_);
  peer_.reset();
  run();
  EXPECT_FALSE(value_);
  EXPECT_EQ(error_, ECONNRESET);
}

TEST_F(WhileConnected, is_not_disturbed_by_what_the_peer_sends_meanwhile) {
  tasks_.spawn(ask(answer_after(Deadline::in(20ms)), Deadline::never()));
  ASSERT_EQ(::send(peer_.fd(), "more", 4, 0), 4);
  int turns = 0;
  for (; !done_; ++turns) loop_.run_once(Deadline::never());
  EXPECT_EQ(value_, 42);
  EXPECT_LE(turns, 10) << "it does not wait, it asks all the time";
  std::array<char, 8> buffer;
  std::optional<IoResult> read;
  const auto read_it = [&]() -> Task<> {
    read = co_await stream_->read_some(buffer, Deadline::never());
  };
  const auto task = [](auto& body) -> Task<> { co_await body(); };
  tasks_.spawn(task(read_it));
  while (!read) loop_.run_once(Deadline::never());
  EXPECT_EQ(read->bytes, 4u);
}

TEST_F(WhileConnected, ends_with_its_deadline_and_when_it_is_interrupted) {
  tasks_.spawn(ask(answer_after(Deadline::never()), Deadline::in(1ms)));
  run();
  EXPECT_EQ(error_, ETIMEDOUT);
  done_ = false;
  tasks_.spawn(ask(answer_after(Deadline::never()), Deadline::never()));
  interrupt_.raise();
  run();
  EXPECT_EQ(error_, ECANCELED);
  done_ = false;
  tasks_.spawn(ask(answer_after(Deadline::never()), Deadline::never()));
  EXPECT_TRUE(done_);
  EXPECT_EQ(error_, ECANCELED);
}

}  // namespace
}  // namespace procpool::net
