#include "proc/signal_wait.hpp"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/process_id.hpp"
#include "ipc/pipe.hpp"
#include "proc/process.hpp"
#include "proc/signal_action.hpp"
#include "proc/signal_mask.hpp"
#include "proc/signal_source.hpp"
#include "tests/proc/telling.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;
using test::Forked;

volatile sig_atomic_t handled = 0;

void count_it(int) {
  handled = handled + 1;
}

TEST(WaitForSignal, takes_one_that_had_come_before) {
  const ScopedSignalMask blocked{{SIGUSR1, SIGUSR2}};
  ::kill(::getpid(), SIGUSR1);
  const auto signal = wait_for_signal({SIGUSR1, SIGUSR2});
  ASSERT_TRUE(signal);
  EXPECT_EQ(signal->number, SIGUSR1);
  EXPECT_EQ(signal->sender, ::getpid());
  EXPECT_EQ(signal->uid, ::getuid());
  EXPECT_FALSE(signal->from_kernel);
}

TEST(WaitForSignal, takes_one_that_comes_later_with_its_value) {
  const ScopedSignalMask blocked{{SIGRTMIN}};
  Forked sender{[] { ::sigqueue(::getppid(), SIGRTMIN, {.sival_int = 77}); }};
  const auto signal = wait_for_signal({SIGRTMIN});
  ASSERT_TRUE(signal);
  EXPECT_EQ(signal->value, 77);
  EXPECT_EQ(signal->sender, sender.pid());
  sender.wait();
}

TEST(WaitForSignal, takes_queued_signals_in_order_and_a_standard_one_once) {
  const ScopedSignalMask blocked{{SIGRTMIN, SIGUSR1}};
  for (int value = 1; value <= 3; ++value) {
    ::sigqueue(::getpid(), SIGRTMIN, {.sival_int = value});
    ::kill(::getpid(), SIGUSR1);
  }
  for (int value = 1; value <= 3; ++value) {
    EXPECT_EQ(wait_for_signal({SIGRTMIN}, Deadline::now())->value, value);
  }
  EXPECT_TRUE(wait_for_signal({SIGUSR1}, Deadline::now()));
  EXPECT_FALSE(wait_for_signal({SIGUSR1}, Deadline::now()));
}

TEST(WaitForSignal, waits_no_longer_than_it_is_told) {
  const ScopedSignalMask blocked{{SIGUSR1}};
  const Deadline due = Deadline::in(5ms);
  EXPECT_EQ(wait_for_signal({SIGUSR1}, due), std::nullopt);
  EXPECT_TRUE(due.expired());
}

TEST(WaitForSignal, goes_on_when_another_signal_is_handled_meanwhile) {
  auto handling = ipc::make_pipe();
  static int handled_to;
  handled_to = handling.writer.fd();
  Process child = Process::fork(
      [] {
        const ScopedSignalAction action{
            SIGUSR2, [](int) { [[maybe_unused]] const ssize_t n = ::write(handled_to, "x", 1); }};
        const SignalSet now{SIGUSR2};
        ::pthread_sigmask(SIG_UNBLOCK, &now.native(), nullptr);
        return wait_for_signal({SIGTERM}).has_value() ? 0 : 1;
      },
      {.blocked_signals = {SIGTERM, SIGUSR2}});
  ASSERT_TRUE(test::eventually([&] { return state_of(child.pid()) == 'S'; }));
  child.signal(SIGUSR2);
  wait_ready(handling.reader.fd(), POLLIN, Deadline::never());
  EXPECT_TRUE(child.is_running());
  child.signal(SIGTERM);
  EXPECT_EQ(child.wait(), ExitStatus::exited(0));
}

TEST(WaitForSignal, tells_a_child_that_has_ended_from_a_value) {
  const ScopedSignalMask blocked{{SIGCHLD}};
  Process child = Process::fork([] { return 9; });
  const auto signal = wait_for_signal({SIGCHLD});
  ASSERT_TRUE(signal);
  EXPECT_EQ(signal->sender, child.pid());
  EXPECT_EQ(signal->value, 0);
}

TEST(WaitForSignal, refuses_what_is_not_blocked) {
  EXPECT_EQ(error_of([] { wait_for_signal({SIGUSR1}, Deadline::now()); }),
            "sigtimedwait \"SIGUSR1\": it is not blocked");
}

TEST(SignalSource, reads_a_value_that_a_process_sends_through_a_pidfd) {
  SignalSource signals{{SIGRTMIN + 1}};
  Forked sender{[] {
    const UniqueFd parent = open_pidfd(::getppid());
    return send_signal_with_value(parent.fd(), SIGRTMIN + 1, -5) ? 0 : 1;
  }};
  wait_ready(signals.fd(), POLLIN, Deadline::never());
  const auto signal = signals.try_next();
  ASSERT_TRUE(signal);
  EXPECT_EQ(signal->value, -5);
  EXPECT_EQ(signal->sender, sender.pid());
  EXPECT_EQ(sender.wait(), test::exited(0));
}

// The gap of pause(2): here the signal has come before the wait begins, each time.
TEST(WaitForHandler, loses_no_signal_that_came_before) {
  const ScopedSignalAction action{SIGUSR1, &count_it};
  const SignalSet open = SignalSet::blocked();
  const ScopedSignalMask blocked{{SIGUSR1}};
  handled = 0;
  for (int i = 1; i <= 100; ++i) {
    ::kill(::getpid(), SIGUSR1);
    EXPECT_EQ(handled, i - 1);
    wait_for_handler(open);
    EXPECT_EQ(handled, i);
  }
  EXPECT_TRUE(SignalSet::blocked().contains(SIGUSR1)) << "the mask is what it was";
}

TEST(WaitForHandler, waits_for_one_that_comes_later) {
  const ScopedSignalAction action{SIGUSR1, &count_it};
  const SignalSet open = SignalSet::blocked();
  const ScopedSignalMask blocked{{SIGUSR1}};
  handled = 0;
  Forked sender{[] { ::kill(::getppid(), SIGUSR1); }};
  wait_for_handler(open);
  EXPECT_EQ(handled, 1);
  sender.wait();
}

TEST(WaitReadyOrHandler, tells_a_descriptor_a_handler_and_the_deadline_apart) {
  const ScopedSignalAction action{SIGUSR1, &count_it};
  const SignalSet open = SignalSet::blocked();
  const ScopedSignalMask blocked{{SIGUSR1}};
  auto pipe = ipc::make_pipe();
  const int fd = pipe.reader.fd();
  EXPECT_EQ(wait_ready_or_handler(fd, POLLIN, Deadline::in(2ms), open), 0);
  ::kill(::getpid(), SIGUSR1);
  EXPECT_EQ(wait_ready_or_handler(fd, POLLIN, Deadline::never(), open), std::nullopt);
  pipe.writer.write_full("x");
  EXPECT_EQ(wait_ready_or_handler(fd, POLLIN, Deadline::never(), open), POLLIN);
}

}  // namespace
}  // namespace procpool::proc
