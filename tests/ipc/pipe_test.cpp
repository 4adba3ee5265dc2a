#include "ipc/pipe.hpp"

#include <fcntl.h>
#include <signal.h>

#include <array>
#include <string>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "tests/support/forked.hpp"

namespace procpool::ipc {
namespace {

using test::exited;
using test::Forked;

std::string read_all(PipeReader& reader) {
  std::string text;
  std::array<std::byte, 7> buffer;
  while (const auto n = reader.read_some(buffer)) {
    text.append(reinterpret_cast<const char*>(buffer.data()), n);
  }
  return text;
}

TEST(Pipe, carries_bytes_from_a_child_until_its_end) {
  auto [reader, writer] = make_pipe();
  Forked child{[&, &out = writer] {
    out.write_full("to be ");
    out.write_full("continued");
  }};
  writer.close();
  EXPECT_EQ(read_all(reader), "to be continued");
  EXPECT_EQ(child.wait(), exited(0));
}

TEST(Pipe, ends_when_its_writer_is_killed) {
  auto [reader, writer] = make_pipe();
  const Forked child{[&, &out = writer] {
    out.write_full("half a mess");
    ::raise(SIGKILL);
  }};
  writer.close();
  std::array<std::byte, 100> buffer;
  EXPECT_EQ(reader.read_full(buffer), 11U);
}

TEST(Pipe, is_ready_when_it_has_bytes_or_has_come_to_its_end) {
  auto [reader, writer] = make_pipe();
  EXPECT_FALSE(reader.ready());
  writer.write_full("x");
  EXPECT_TRUE(reader.ready());
  writer.close();
  EXPECT_EQ(read_all(reader), "x");
  EXPECT_TRUE(reader.ready());
}

TEST(Pipe, is_closed_by_exec) {
  const auto [reader, writer] = make_pipe();
  EXPECT_NE(::fcntl(reader.fd(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_NE(::fcntl(writer.fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(Pipe, tells_its_writer_that_nobody_reads) {
  Forked child{[] {
    ::signal(SIGPIPE, SIG_IGN);
    auto [reader, writer] = make_pipe();
    reader.close();
    try {
      writer.write_full("hello");
    } catch (const Error& error) {
      return error.code() == std::errc::broken_pipe ? 0 : 2;
    }
    return 1;
  }};
  EXPECT_EQ(child.wait(), exited(0));
}

TEST(Pipe, gives_its_ends_away) {
  auto [reader, writer] = make_pipe();
  PipeReader other{reader.release()};
  writer.write_full("x");
  writer.close();
  EXPECT_EQ(read_all(other), "x");
  EXPECT_EQ(reader.fd(), -1);
}

}  // namespace
}  // namespace procpool::ipc
