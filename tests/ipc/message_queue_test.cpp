#include "ipc/message_queue.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <optional>
#include <string>
#include <system_error>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/shared_name.hpp"

namespace procpool::ipc {
namespace {

using namespace std::chrono_literals;
using test::exited;
using test::Forked;
using test::Gate;
using test::kPatience;
using test::shared_name;

constexpr MessageQueueOptions kSmall{.capacity = 4, .message_size = 64};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}

template <typename Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

class MessageQueueTest : public testing::Test {
 protected:
  MessageQueueTest() : name_{shared_name("mq")}, queue_{MessageQueue::open(name_, kSmall)} {}
  ~MessageQueueTest() override { MessageQueue::unlink(name_); }

  const std::string& name() const { return name_; }
  MessageQueue& queue() { return queue_; }

  void send(std::string_view text, unsigned priority = 0) {
    EXPECT_TRUE(queue_.try_send(bytes_of(text), priority));
  }
  std::string receive(Deadline deadline = Deadline::now()) {
    std::array<std::byte, 64> buffer;
    const auto received = queue_.receive_until(deadline, buffer);
    if (!received) return "(empty)";
    return std::string{reinterpret_cast<const char*>(buffer.data()), received->size} + "@" +
           std::to_string(received->priority);
  }

 private:
  std::string name_;
  MessageQueue queue_;
};

TEST_F(MessageQueueTest, gives_the_most_urgent_first_and_the_oldest_among_equals) {
  send("a", 1);
  send("b", MessageQueue::kHighestPriority);
  send("c", 1);
  send("");
  EXPECT_EQ(receive(), "b@32767");
  EXPECT_EQ(receive(), "a@1");
  EXPECT_EQ(receive(), "c@1");
  EXPECT_EQ(receive(), "@0") << "an empty message is one";
  EXPECT_EQ(receive(), "(empty)");
}

TEST_F(MessageQueueTest, is_the_same_for_all_who_open_its_name) {
  Forked other{[&] {
    auto same = MessageQueue::open(name());
    same.send(bytes_of("hello"));
  }};
  EXPECT_EQ(receive(Deadline::in(kPatience)), "hello@0");
  EXPECT_EQ(other.wait(), exited(0));
  MessageQueue::open(name(), kSmall).send(bytes_of("again"));
  EXPECT_EQ(receive(), "again@0");
}

TEST_F(MessageQueueTest, is_full_at_its_capacity) {
  for (std::size_t i = 0; i < kSmall.capacity; ++i) send("x");
  EXPECT_EQ(queue().attributes().size, kSmall.capacity);
  EXPECT_FALSE(queue().try_send(bytes_of("x")));
  EXPECT_FALSE(queue().send_for(10ms, bytes_of("x")));
  Forked sender{[&] { queue().send(bytes_of("last")); }};
  for (std::size_t i = 0; i < kSmall.capacity; ++i) {
    EXPECT_EQ(receive(Deadline::in(kPatience)), "x@0");
  }
  EXPECT_EQ(receive(Deadline::in(kPatience)), "last@0");
  EXPECT_EQ(sender.wait(), exited(0));
}

TEST_F(MessageQueueTest, receiver_waits_until_its_deadline) {
  std::array<std::byte, 64> buffer;
  const auto start = Deadline::Clock::now();
  EXPECT_FALSE(queue().receive_for(20ms, buffer).has_value());
  EXPECT_GE(Deadline::Clock::now() - start, 20ms);
  Forked sender{[&] { queue().send(bytes_of("x"), 3); }};
  EXPECT_EQ(queue().receive(buffer).priority, 3U);
  sender.wait();
}

TEST_F(MessageQueueTest, refuses_what_is_too_large_or_too_urgent) {
  const std::string large(65, 'x');
  EXPECT_TRUE(error_of([&] { queue().send(bytes_of(large)); }).ends_with("Message too long"));
  EXPECT_TRUE(error_of([&] {
                queue().send(bytes_of("x"), MessageQueue::kHighestPriority + 1);
              }).ends_with("a priority is 0 to 32767"));
  send("x");
  std::array<std::byte, 63> too_small;
  EXPECT_THROW(queue().try_receive(too_small), Error);
  EXPECT_THROW(queue().try_receive({}), Error);
  EXPECT_EQ(receive(), "x@0") << "it stayed";
}

TEST_F(MessageQueueTest, has_other_attributes_than_those_asked_for) {
  EXPECT_TRUE(error_of([&] {
                MessageQueue::open(name(), {.capacity = 5, .message_size = 64});
              }).ends_with("it has another capacity or message size"));
  EXPECT_THROW(MessageQueue::open(name(), {.capacity = 4, .message_size = 65}), Error);
  EXPECT_EQ(queue().attributes().capacity, 4U);
  EXPECT_EQ(queue().attributes().message_size, 64U);
}

TEST_F(MessageQueueTest, cannot_be_larger_than_the_system_allows) {
  const auto other = shared_name("other");
  for (const MessageQueueOptions& options :
       {MessageQueueOptions{.capacity = 0}, MessageQueueOptions{.capacity = 100'000},
        MessageQueueOptions{.message_size = 0}, MessageQueueOptions{.message_size = 1U << 30},
        MessageQueueOptions{.capacity = SIZE_MAX}}) {
    const auto error = error_of([&] { MessageQueue::open(other, options); });
    EXPECT_NE(error.find("/proc/sys/fs/mqueue/msg_max ("), std::string::npos) << error;
    EXPECT_NE(error.find("/proc/sys/fs/mqueue/msgsize_max ("), std::string::npos) << error;
  }
  EXPECT_FALSE(MessageQueue::unlink(other)) << "nothing is left behind";
}

TEST_F(MessageQueueTest, of_a_wrong_name_or_none_is_an_error) {
  for (const std::string& wrong : {std::string{}, std::string{"/"}, std::string{"x"},
                                   std::string{"/a/b"}, "/" + std::string(256, 'x')}) {
    EXPECT_TRUE(error_of([&] {
                  MessageQueue::open(wrong, kSmall);
                }).ends_with("a name is a slash and 1 to 255 characters without one"));
    EXPECT_THROW(MessageQueue::unlink(wrong), Error);
  }
  EXPECT_TRUE(error_of([] {
                MessageQueue::open(shared_name("none"));
              }).ends_with("No such file or directory"));
}

TEST_F(MessageQueueTest, outlives_its_processes_until_it_is_unlinked) {
  const auto other = shared_name("other");
  Forked sender{[&] {
    MessageQueue::open(other, kSmall).send(bytes_of("kept"));
    ::raise(SIGKILL);
  }};
  sender.wait();
  auto kept = MessageQueue::open(other);
  std::array<std::byte, 64> buffer;
  EXPECT_EQ(kept.receive(buffer).size, 4U);
  EXPECT_TRUE(MessageQueue::unlink(other));
  EXPECT_FALSE(MessageQueue::unlink(other));
  EXPECT_TRUE(kept.try_send(bytes_of("still"))) << "who has it keeps it";
}

TEST_F(MessageQueueTest, may_be_waited_for_in_a_poller) {
  EXPECT_FALSE(queue().ready());
  send("x");
  EXPECT_TRUE(queue().ready());
  EXPECT_NE(wait_ready(queue().fd(), POLLIN, Deadline::now()), 0);
  EXPECT_NE(::fcntl(queue().fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(MessageQueueTest, sends_a_signal_with_a_value_once_when_a_message_comes) {
  Gate asked;
  Forked waiter{[&] {
    sigset_t signals;
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGUSR1);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    queue().notify(SIGUSR1, 77);
    asked.open();
    siginfo_t info{};
    const timespec patience{.tv_sec = 20, .tv_nsec = 0};
    if (::sigtimedwait(&signals, &info, &patience) != SIGUSR1) return 1;
    if (info.si_code != SI_MESGQ || info.si_value.sival_int != 77) return 2;
    std::array<std::byte, 64> buffer;
    queue().receive(buffer);
    queue().send(bytes_of("no second signal"));
    const timespec now{};
    return ::sigtimedwait(&signals, &info, &now) < 0 ? 0 : 3;
  }};
  asked.wait();
  EXPECT_THROW(queue().notify(SIGUSR2), Error) << "one at a time";
  send("x");
  EXPECT_EQ(waiter.wait(), exited(0));
  queue().notify(SIGUSR2);
  queue().cancel_notification();
  queue().notify(0 + SIGUSR2);
  queue().cancel_notification();
  EXPECT_EQ(receive(), "no second signal@0");
}

}  // namespace
}  // namespace procpool::ipc
