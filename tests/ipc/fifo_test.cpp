#include "ipc/fifo.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::ipc {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using test::exited;
using test::Forked;
using test::Gate;
using test::kPatience;
using test::TempDir;

template <typename Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

std::string read_all(PipeReader&& reader) {
  std::string text;
  std::array<std::byte, 7> buffer;
  while (const auto n = reader.read_some(buffer)) {
    text.append(reinterpret_cast<const char*>(buffer.data()), n);
  }
  return text;
}

TEST(Fifo, carries_bytes_between_processes_that_share_a_name_only) {
  const TempDir dir;
  const std::string path = dir.path() / "fifo";
  Forked writer{[&] { Fifo{path}.open_writer(Deadline::in(kPatience))->write_full("hello"); }};
  Forked reader{[&] {
    auto end = Fifo{path}.open_reader(Deadline::in(kPatience));
    return read_all(std::move(*end)) == "hello" ? 0 : 1;
  }};
  EXPECT_EQ(writer.wait(), exited(0));
  EXPECT_EQ(reader.wait(), exited(0));
}

TEST(Fifo, waits_for_the_other_end_whichever_comes_first) {
  const TempDir dir;
  const Fifo fifo{dir.path() / "fifo"};
  {
    Gate waits;
    Forked late{[&] {
      waits.wait();
      fifo.open_writer()->write_full("x");
    }};
    waits.open();
    auto reader = fifo.open_reader(Deadline::in(kPatience));
    EXPECT_EQ(read_all(std::move(*reader)), "x");
    EXPECT_EQ(late.wait(), exited(0));
  }
  Forked late{[&] { return read_all(*fifo.open_reader()) == "y" ? 0 : 1; }};
  fifo.open_writer(Deadline::in(kPatience))->write_full("y");
  EXPECT_EQ(late.wait(), exited(0));
}

TEST(Fifo, reader_is_given_to_who_waits_when_a_writer_has_come_that_is_silent) {
  const TempDir dir;
  const Fifo fifo{dir.path() / "fifo"};
  Gate gate;
  Forked writer{[&] {
    const auto end = fifo.open_writer();
    gate.wait();
  }};
  EXPECT_TRUE(fifo.open_reader(Deadline::in(kPatience)).has_value());
  gate.open();
  EXPECT_EQ(writer.wait(), exited(0));
}

TEST(Fifo, is_not_waited_for_beyond_the_deadline) {
  const TempDir dir;
  const Fifo fifo{dir.path() / "fifo"};
  const auto start = Deadline::Clock::now();
  EXPECT_FALSE(fifo.open_writer(Deadline::in(10ms)).has_value());
  EXPECT_FALSE(fifo.open_reader(Deadline::in(10ms)).has_value());
  EXPECT_GE(Deadline::Clock::now() - start, 20ms);
  EXPECT_FALSE(fifo.open_writer(Deadline::now()).has_value());
  EXPECT_FALSE(fifo.open_reader(Deadline::now()).has_value());
}

TEST(Fifo, has_blocking_ends_that_are_closed_by_exec) {
  const TempDir dir;
  const Fifo fifo{dir.path() / "fifo"};
  Forked writer{[&] { fifo.open_writer()->write_full("x"); }};
  const auto reader = fifo.open_reader(Deadline::in(kPatience));
  EXPECT_EQ(::fcntl(reader->fd(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(reader->fd(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_TRUE(test::eventually([&] { return reader->ready(); }));
  writer.wait();
}

TEST(Fifo, is_removed_by_its_maker_only) {
  const TempDir dir;
  const fs::path path = dir.path() / "fifo";
  std::optional<Fifo> maker{path};
  EXPECT_TRUE(maker->made());
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode, static_cast<mode_t>(S_IFIFO | 0600));
  {
    const Fifo other{path};
    EXPECT_FALSE(other.made());
  }
  Forked child{[&] { maker.reset(); }};
  EXPECT_EQ(child.wait(), exited(0));
  EXPECT_TRUE(fs::exists(path)) << "neither by another user nor by a child";
  Fifo moved{std::move(*maker)};
  maker.reset();
  EXPECT_TRUE(fs::exists(path));
  moved = Fifo{dir.path() / "other"};
  EXPECT_FALSE(fs::exists(path));
}

TEST(Fifo, of_a_killed_maker_serves_on) {
  const TempDir dir;
  const std::string path = dir.path() / "fifo";
  Forked maker{[&] {
    const Fifo fifo{path};
    ::raise(SIGKILL);
  }};
  maker.wait();
  const Fifo fifo{path};
  EXPECT_FALSE(fifo.made());
  Forked writer{[&] { fifo.open_writer()->write_full("x"); }};
  auto reader = fifo.open_reader(Deadline::in(kPatience));
  EXPECT_EQ(read_all(std::move(*reader)), "x");
  writer.wait();
}

TEST(Fifo, refuses_what_is_no_fifo_and_leaves_it_alone) {
  const TempDir dir;
  const fs::path path = dir.path() / "other";
  std::ofstream{path} << "text";
  EXPECT_EQ(error_of([&] { const Fifo fifo{path}; }),
            "open FIFO \"" + path.string() + "\": it is no FIFO");
  EXPECT_TRUE(fs::exists(path));
  fs::create_symlink("/dev/null", dir.path() / "link");
  EXPECT_NE(error_of([&] { const Fifo fifo{dir.path() / "link"}; }), "");
  EXPECT_NE(error_of([&] { const Fifo fifo{dir.path()}; }), "");
  EXPECT_NE(error_of([&] { const Fifo fifo{dir.path() / "none" / "fifo"}; }), "");
  EXPECT_NE(error_of([] { const Fifo fifo{""}; }), "");
}

TEST(Fifo, keeps_to_the_one_that_it_found) {
  const TempDir dir;
  const fs::path path = dir.path() / "fifo";
  std::optional<Fifo> first{path};
  fs::remove(path);  // by hand
  const Fifo second{path};
  first.reset();
  EXPECT_TRUE(fs::exists(path)) << "it is the second's";
}

}  // namespace
}  // namespace procpool::ipc
