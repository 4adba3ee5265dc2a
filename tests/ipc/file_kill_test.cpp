// Processes that are killed at the instructions of what the kernel keeps for them: FIFOs, locks of
// files, POSIX message queues.
#include <unistd.h>

#include <array>
#include <cstddef>
#include <string>

#include <gtest/gtest.h>

#include "ipc/fifo.hpp"
#include "ipc/file_lock.hpp"
#include "ipc/message_queue.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/shared_name.hpp"
#include "tests/support/single_step.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::ipc {
namespace {

using test::exited;
using test::Forked;
using test::kill_at_every_instruction;
using test::kPatience;
using test::shared_name;
using test::stride_unless_torture;
using test::TempDir;

TEST(FileLockKill, is_free_whenever_its_holder_died) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  const TempDir dir;
  const std::string path = dir.path() / "lock";
  const auto lock_and_unlock = [&] {
    FileLock lock{path};
    lock.lock();
    lock.unlock();
  };
  lock_and_unlock();
  FileLock mine{path};
  const auto instructions = kill_at_every_instruction(lock_and_unlock, [&](std::size_t i) {
    ASSERT_TRUE(mine.try_lock()) << "step " << i;
    mine.unlock();
  });
  EXPECT_GT(instructions, 100U);
}

// A reader is there. The victim makes its own view of the FIFO, writes and leaves.
TEST(FifoKill, carries_on_whenever_a_writer_died) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  const TempDir dir;
  const std::string path = dir.path() / "fifo";
  const auto write = [&] {
    auto writer = Fifo{path}.open_writer(Deadline::in(kPatience));
    writer->write_full("victim|");
  };
  const Fifo fifo{path};
  const auto read = [&](PipeReader& reader) {
    std::array<std::byte, 64> buffer;
    const std::size_t size = reader.read_full(buffer);
    return std::string{reinterpret_cast<const char*>(buffer.data()), size};
  };
  Forked first{write};
  auto reader = fifo.open_reader(Deadline::in(kPatience));
  EXPECT_EQ(read(*reader), "victim|");
  EXPECT_EQ(first.wait(), exited(0));
  const auto instructions = kill_at_every_instruction(write, [&](std::size_t i) {
    auto writer = fifo.open_writer(Deadline::in(kPatience));
    ASSERT_TRUE(writer.has_value()) << "step " << i;
    writer->write_full("survivor");
    writer.reset();
    const std::string text = read(*reader);
    ASSERT_TRUE(text == "survivor" || text == "victim|survivor") << "step " << i << text;
  });
  EXPECT_GT(instructions, 200U);
}

TEST(FifoKill, may_be_used_whenever_its_maker_died) {
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  const TempDir dir;
  const std::string path = dir.path() / "fifo";
  const auto make_and_remove = [&] { const Fifo fifo{path}; };
  make_and_remove();
  const auto instructions = kill_at_every_instruction(make_and_remove, [&](std::size_t i) {
    const Fifo fifo{path};
    Forked writer{[&] { fifo.open_writer(Deadline::in(kPatience))->write_full("x"); }};
    auto reader = fifo.open_reader(Deadline::in(kPatience));
    ASSERT_TRUE(reader.has_value()) << "step " << i;
    std::array<std::byte, 2> buffer;
    ASSERT_EQ(reader->read_full(buffer), 1U) << "step " << i;
    ASSERT_EQ(writer.wait(), exited(0)) << "step " << i;
    ::unlink(path.c_str());  // for the next victim
  });
  EXPECT_GT(instructions, 100U);
}

// The victim sends one message and receives one.
TEST(MessageQueueKill, loses_at_most_a_message_of_the_dead) {
  constexpr std::size_t kStride = 29;
  if (test::kSanitized) GTEST_SKIP() << "the steps would be those of the sanitizer";
  const auto name = shared_name("mq");
  auto queue = MessageQueue::open(name, {.capacity = 4, .message_size = 16});
  std::array<std::byte, 16> buffer;
  const std::array<std::byte, 3> sent{};
  const auto send_and_receive = [&] {
    auto same = MessageQueue::open(name);
    same.send(sent);
    same.receive(buffer);
  };
  send_and_receive();
  const auto instructions = kill_at_every_instruction(
      send_and_receive,
      [&](std::size_t i) {
        for (std::size_t left = queue.attributes().size; left > 0; --left) {
          const auto received = queue.try_receive(buffer);
          ASSERT_TRUE(received && received->size == sent.size()) << "step " << i;
        }
        for (std::size_t k = 0; k < 4; ++k) ASSERT_TRUE(queue.try_send(sent)) << "step " << i;
        ASSERT_FALSE(queue.try_send(sent)) << "step " << i;
        for (std::size_t k = 0; k < 4; ++k) {
          ASSERT_TRUE(queue.try_receive(buffer)) << "step " << i;
        }
        ASSERT_FALSE(queue.try_receive(buffer)) << "step " << i;
      },
      stride_unless_torture(kStride));
  EXPECT_GT(instructions, 100U);
  MessageQueue::unlink(name);
}

}  // namespace
}  // namespace procpool::ipc
