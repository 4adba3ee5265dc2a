#include "servers/net/stream.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "servers/net/task.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::net {
namespace {

using namespace std::chrono_literals;

// A loop with a stream on one end of a socket pair, and the other end for the test.
class StreamTest : public testing::Test {
 protected:
  StreamTest() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) < 0) {
      throw std::runtime_error{"socketpair"};
    }
    near_ = std::make_unique<Stream>(loop_, UniqueFd{ends[0]});
    far_ = UniqueFd{ends[1]};
  }

  // The body stays: a coroutine finds its captures in the closure that it was called on.
  void start(std::function<Task<>()> body) {
    body_ = std::move(body);
    tasks_.spawn(body_());
  }
  void run() {
    while (tasks_.size() > 0) loop_.run_once(Deadline::never());
  }
  void turn() { loop_.run_once(Deadline::now()); }

  void send(std::string_view text) { write_full(far_.fd(), text, "far end"); }
  std::string receive(std::size_t size) {
    std::string text(size, '\0');
    text.resize(read_full(far_.fd(), std::as_writable_bytes(std::span{text}), "far end"));
    return text;
  }

  Loop loop_;
  std::unique_ptr<Stream> near_;
  UniqueFd far_;
  std::function<Task<>()> body_;
  TaskGroup tasks_{[](std::exception_ptr error) { std::rethrow_exception(error); }};
};

TEST_F(StreamTest, reads_what_arrives_and_then_the_end) {
  std::string seen;
  IoResult last{.bytes = 1};
  std::array<char, 16> buffer;
  start([&]() -> Task<> {
    for (;;) {
      last = co_await near_->read_some(buffer, Deadline::never());
      if (last.bytes == 0) co_return;
      seen.append(buffer.data(), last.bytes);
    }
  });
  send("a first piece, longer than the buffer; ");
  for (int i = 0; i < 5; ++i) turn();
  send("a second");
  far_.reset();
  run();
  EXPECT_EQ(seen, "a first piece, longer than the buffer; a second");
  EXPECT_FALSE(last.failed());
}

TEST_F(StreamTest, times_out_at_its_deadline) {
  IoResult result;
  std::array<char, 16> buffer;
  start([&]() -> Task<> { result = co_await near_->read_some(buffer, Deadline::in(5ms)); });
  run();
  EXPECT_TRUE(result.timed_out());
}

TEST_F(StreamTest, can_be_used_again_after_a_time_out) {
  std::string seen;
  std::array<char, 16> buffer;
  start([&]() -> Task<> {
    EXPECT_TRUE((co_await near_->readable(Deadline::in(1ms))).timed_out());
    send("late");
    const IoResult got = co_await near_->read_some(buffer, Deadline::never());
    seen.assign(buffer.data(), got.bytes);
  });
  run();
  EXPECT_EQ(seen, "late");
}

TEST_F(StreamTest, idles_without_a_buffer_until_something_comes) {
  bool woken = false;
  start([&]() -> Task<> {
    EXPECT_FALSE((co_await near_->readable(Deadline::never())).failed());
    woken = true;
  });
  turn();
  EXPECT_FALSE(woken);
  send("x");
  run();
  EXPECT_TRUE(woken);
}

TEST_F(StreamTest, idles_after_a_read_that_has_filled_its_buffer_and_taken_all) {
  std::array<char, 4> buffer;
  bool woken = false;
  start([&]() -> Task<> {
    EXPECT_EQ((co_await near_->read_some(buffer, Deadline::never())).bytes, 4U);
    EXPECT_FALSE((co_await near_->readable(Deadline::never())).failed());
    EXPECT_EQ((co_await near_->read_some(buffer, Deadline::never())).bytes, 4U);
    EXPECT_FALSE((co_await near_->readable(Deadline::never())).failed());
    woken = true;
  });
  send("eight by");
  for (int i = 0; i < 3; ++i) turn();
  EXPECT_FALSE(woken);
  send("x");
  run();
  EXPECT_TRUE(woken);
}

TEST_F(StreamTest, is_woken_from_idling_by_an_interrupt_and_never_idles_again) {
  Interrupt drain;
  int interrupted = 0;
  start([&]() -> Task<> {
    for (int i = 0; i < 3; ++i) {
      interrupted += (co_await near_->readable(Deadline::never(), drain)).interrupted();
    }
  });
  turn();
  EXPECT_EQ(interrupted, 0);
  drain.raise();
  run();
  EXPECT_EQ(interrupted, 3);
}

TEST_F(StreamTest, writes_more_than_the_socket_holds) {
  const std::string much(4 << 20, 'm');
  IoResult result;
  start([&]() -> Task<> { result = co_await near_->write(much, Deadline::never()); });
  EXPECT_EQ(tasks_.size(), 1U) << "it did not have to wait, so nothing was tested";
  std::string seen;
  std::thread reader{[&] { seen = receive(much.size()); }};
  run();
  reader.join();
  EXPECT_EQ(result.bytes, much.size());
  EXPECT_TRUE(seen == much);
}

TEST_F(StreamTest, gives_up_on_a_reader_who_does_not_read) {
  const std::string much(4 << 20, 'm');
  IoResult result;
  start([&]() -> Task<> { result = co_await near_->write(much, Deadline::in(5ms)); });
  run();
  EXPECT_TRUE(result.timed_out());
  EXPECT_GT(result.bytes, 0U);
  EXPECT_LT(result.bytes, much.size());
}

TEST_F(StreamTest, reports_a_peer_that_left_as_a_value_and_not_as_a_signal) {
  far_.reset();
  IoResult result;
  start([&]() -> Task<> { result = co_await near_->write("hello", Deadline::never()); });
  run();
  EXPECT_EQ(result.error, EPIPE);
}

TEST_F(StreamTest, does_not_spin_on_input_that_nobody_asks_for) {
  std::array<char, 16> buffer;
  const std::string much(4 << 20, 'm');
  start([&]() -> Task<> {
    (void)co_await near_->read_some(buffer, Deadline::never());
    (void)co_await near_->write(much, Deadline::in(20ms));
  });
  send("first");
  turn();
  send("second, while the stream waits to write");
  // A loop that is woken by the second again and again would never come to its timer in so few
  // turns.
  int turns = 0;
  while (tasks_.size() > 0 && ++turns < 10) loop_.run_once(Deadline::never());
  EXPECT_LT(turns, 10);
}

TEST_F(StreamTest, lets_the_others_have_their_turn_when_a_client_never_lets_it_wait) {
  std::size_t bytes = 0;
  std::array<char, 16> buffer;
  start([&]() -> Task<> {
    while (bytes < 16 * 1000) bytes += (co_await near_->read_some(buffer, Deadline::never())).bytes;
  });
  send(std::string(16 * 1000, 'x'));
  bool had_its_turn = false;
  Loop::Timer other{loop_, [&] { had_its_turn = bytes < 16 * 1000; }};
  other.set(Deadline::now());
  run();
  EXPECT_TRUE(had_its_turn);
}

TEST_F(StreamTest, sends_a_part_of_a_file) {
  const test::TempDir dir;
  const auto path = dir.path() / "file";
  std::string content(3 << 20, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 31 + i / 977);
  std::ofstream{path} << content;
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};

  IoResult result;
  start([&]() -> Task<> { result = co_await near_->send_file(file.fd(), 1000, 2 << 20, 10s); });
  std::string seen;
  std::thread reader{[&] { seen = receive(2 << 20); }};
  run();
  reader.join();
  EXPECT_EQ(result.bytes, std::size_t{2} << 20);
  EXPECT_TRUE(seen == content.substr(1000, 2 << 20));
}

TEST_F(StreamTest, says_when_a_file_is_shorter_than_promised) {
  const test::TempDir dir;
  const auto path = dir.path() / "file";
  std::ofstream{path} << "short";
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  IoResult result;
  start([&]() -> Task<> { result = co_await near_->send_file(file.fd(), 0, 100, 10s); });
  run();
  EXPECT_EQ(result.error, EIO);
  EXPECT_EQ(result.bytes, 5U);
}

TEST_F(StreamTest, gives_its_socket_away_with_what_nobody_has_read) {
  send("for the next owner");
  const UniqueFd socket = near_->release();
  near_.reset();
  std::array<char, 64> buffer;
  const ssize_t n = ::read(socket.fd(), buffer.data(), buffer.size());
  EXPECT_EQ(std::string_view(buffer.data(), static_cast<std::size_t>(n)), "for the next owner");
}

TEST_F(StreamTest, ends_its_wait_when_its_task_is_destroyed) {
  {
    TaskGroup group{[](std::exception_ptr) {}};
    std::array<char, 16> buffer;
    const auto body = [&]() -> Task<> {
      (void)co_await near_->read_some(buffer, Deadline::in(1ms));
    };
    group.spawn(body());
  }
  send("nobody waits for this");
  turn();
  loop_.run_once(Deadline::in(5ms));
}

}  // namespace
}  // namespace procpool::net
