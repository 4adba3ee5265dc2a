#include "ipc/base/io.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/unique_fd.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool {
namespace {

using namespace std::chrono_literals;
using test::exited;
using test::Forked;
using test::Gate;
using test::TempDir;

struct Ends {
  UniqueFd reader;
  UniqueFd writer;
};

Ends make_pipe(int flags = 0) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | flags) < 0) throw_errno("pipe2");
  return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

std::string some_text(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i * 7 % 26);
  return text;
}

std::span<std::byte> bytes_of(std::string& text) {
  return std::as_writable_bytes(std::span{text});
}

void interrupt_system_calls_by(int signal_number) {
  struct sigaction action{};
  action.sa_handler = [](int) {};  // without SA_RESTART
  ASSERT_EQ(::sigaction(signal_number, &action, nullptr), 0);
}

TEST(RetryEintr, calls_again_only_while_it_is_interrupted) {
  int calls = 0;
  const int result = retry_eintr([&] {
    errno = EINTR;
    return ++calls < 3 ? -1 : 7;
  });
  EXPECT_EQ(result, 7);
  EXPECT_EQ(calls, 3);
  calls = 0;
  const int failed = retry_eintr([&] {
    errno = EIO;
    return ++calls > 0 ? -1 : 0;
  });
  EXPECT_EQ(failed, -1);
  EXPECT_EQ(calls, 1);
}

TEST(ReadFull, puts_short_reads_together) {
  auto [reader, writer] = make_pipe();
  Forked drips{[&] {
    reader.reset();
    for (const char character : std::string_view{"drop by drop"}) {
      write_full(writer.fd(), {&character, 1}, "pipe");
    }
  }};
  writer.reset();
  std::string text(12, '?');
  EXPECT_EQ(read_full(reader.fd(), bytes_of(text), "pipe"), 12U);
  EXPECT_EQ(text, "drop by drop");
  EXPECT_EQ(drips.wait(), exited(0));
}

TEST(ReadFull, returns_less_when_the_end_comes_first) {
  auto [reader, writer] = make_pipe();
  write_full(writer.fd(), "short", "pipe");
  writer.reset();
  std::string text(100, '?');
  EXPECT_EQ(read_full(reader.fd(), bytes_of(text), "pipe"), 5U);
  EXPECT_EQ(read_full(reader.fd(), bytes_of(text), "pipe"), 0U);
}

TEST(ReadFull, goes_on_after_a_signal) {
  auto [reader, writer] = make_pipe();
  Gate reading;
  Forked interrupted{[&] {
    writer.reset();
    interrupt_system_calls_by(SIGUSR1);
    reading.open();
    std::string text(4, '?');
    return read_full(reader.fd(), bytes_of(text), "pipe") == 4 && text == "done" ? 0 : 1;
  }};
  reading.wait();
  for (int i = 0; i < 20; ++i) {
    interrupted.kill(SIGUSR1);
    std::this_thread::yield();
  }
  write_full(writer.fd(), "do", "pipe");
  interrupted.kill(SIGUSR1);
  write_full(writer.fd(), "ne", "pipe");
  EXPECT_EQ(interrupted.wait(), exited(0));
}

TEST(ReadFull, waits_for_a_non_blocking_descriptor) {
  auto [reader, writer] = make_pipe(O_NONBLOCK);
  Forked late{[&, fd = writer.fd()] {
    wait_ready(reader.fd(), POLLIN, Deadline::in(20ms));
    write_full(fd, "late", "pipe");
  }};
  std::string text(4, '?');
  EXPECT_EQ(read_full(reader.fd(), bytes_of(text), "pipe"), 4U);
  EXPECT_EQ(text, "late");
  EXPECT_EQ(late.wait(), exited(0));
}

TEST(ReadFull, names_what_it_could_not_read) {
  std::string text(4, '?');
  try {
    read_full(-1, bytes_of(text), "/the/object");
    FAIL() << "a closed descriptor was read";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "read \"/the/object\": Bad file descriptor");
  }
}

class WriteFull : public testing::TestWithParam<int> {};

TEST_P(WriteFull, writes_all_through_a_narrow_pipe_and_many_signals) {
  auto [reader, writer] = make_pipe(GetParam());
  ASSERT_GT(::fcntl(writer.fd(), F_SETPIPE_SZ, 4096), 0);
  const std::string text = some_text(300'000);
  Gate writing;
  Forked child{[&] {
    reader.reset();
    interrupt_system_calls_by(SIGUSR1);
    writing.open();
    write_full(writer.fd(), text, "pipe");
  }};
  writer.reset();
  writing.wait();
  std::string received;
  std::string part(1009, '?');
  while (const auto n = read_full(reader.fd(), bytes_of(part), "pipe")) {
    received.append(part, 0, n);
    if (received.size() < text.size()) child.kill(SIGUSR1);
  }
  EXPECT_EQ(received, text);
  EXPECT_EQ(child.wait(), exited(0));
}
std::string name_of_mode(const testing::TestParamInfo<int>& mode) {
  return mode.param == 0 ? "blocking" : "non_blocking";
}
INSTANTIATE_TEST_SUITE_P(in_mode, WriteFull, testing::Values(0, O_NONBLOCK), name_of_mode);

TEST(WriteFull, reports_that_nobody_reads) {
  Forked writes{[] {
    ::signal(SIGPIPE, SIG_IGN);
    auto [reader, writer] = make_pipe();
    reader.reset();
    try {
      write_full(writer.fd(), "hello", "pipe");
    } catch (const Error& error) {
      return error.code() == std::errc::broken_pipe ? 0 : 2;
    }
    return 1;
  }};
  EXPECT_EQ(writes.wait(), exited(0));
}

TEST(ReadToEnd, reads_more_than_one_buffer) {
  const TempDir dir;
  const std::string text = some_text(100'001);
  std::ofstream{dir.path() / "text"} << text;
  EXPECT_EQ(read_file(dir.path() / "text"), text);
}

TEST(ReadToEnd, reads_files_that_tell_no_size) {
  EXPECT_NE(read_file("/proc/self/status").find("Name:"), std::string::npos);
}

TEST(ReadToEnd, refuses_more_than_its_limit) {
  const TempDir dir;
  std::ofstream{dir.path() / "text"} << some_text(50'000);
  EXPECT_EQ(read_file(dir.path() / "text", 50'000).size(), 50'000U);
  try {
    read_file(dir.path() / "text", 49'999);
    FAIL() << "too much was read";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), std::errc::file_too_large);
  }
}

TEST(ReadFile, names_the_file_that_is_not_there) {
  try {
    read_file("/no/such/file");
    FAIL() << "it was read";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "open \"/no/such/file\": No such file or directory");
  }
}

TEST(WaitReady, returns_nothing_at_its_deadline) {
  auto [reader, writer] = make_pipe();
  const auto start = Deadline::Clock::now();
  EXPECT_EQ(wait_ready(reader.fd(), POLLIN, Deadline::in(30ms)), 0);
  EXPECT_GE(Deadline::Clock::now() - start, 30ms);
  EXPECT_EQ(wait_ready(reader.fd(), POLLIN, Deadline::now()), 0);
}

TEST(WaitReady, returns_the_events_and_the_hang_up) {
  auto [reader, writer] = make_pipe();
  EXPECT_EQ(wait_ready(writer.fd(), POLLOUT, Deadline::never()), POLLOUT);
  write_full(writer.fd(), "x", "pipe");
  EXPECT_EQ(wait_ready(reader.fd(), POLLIN, Deadline::never()), POLLIN);
  writer.reset();
  EXPECT_EQ(wait_ready(reader.fd(), POLLIN, Deadline::never()), POLLIN | POLLHUP);
}

TEST(WaitReady, keeps_its_deadline_under_signals) {
  auto [reader, writer] = make_pipe();
  Forked waits{[&] {
    interrupt_system_calls_by(SIGALRM);
    const itimerval often{.it_interval = {0, 1000}, .it_value = {0, 1000}};
    ::setitimer(ITIMER_REAL, &often, nullptr);
    const auto start = Deadline::Clock::now();
    const short events = wait_ready(reader.fd(), POLLIN, Deadline::in(50ms));
    return events == 0 && Deadline::Clock::now() - start >= 50ms ? 0 : 1;
  }};
  EXPECT_EQ(waits.wait(), exited(0));
}

TEST(SetBlocking, belongs_to_the_open_file_and_not_to_the_descriptor) {
  auto [reader, writer] = make_pipe();
  const UniqueFd copy{::fcntl(reader.fd(), F_DUPFD_CLOEXEC, 0)};
  set_blocking(reader.fd(), Blocking::no);
  EXPECT_NE(::fcntl(copy.fd(), F_GETFL) & O_NONBLOCK, 0);
  set_blocking(copy.fd(), Blocking::yes);
  EXPECT_EQ(::fcntl(reader.fd(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_THROW(set_blocking(-1, Blocking::yes), Error);
}

}  // namespace
}  // namespace procpool
