#include "ipc/base/process_id.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <type_traits>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"

namespace procpool {
namespace {

using test::eventually;
using test::exited;
using test::Forked;
using test::Gate;
using test::killed_by;

static_assert(std::is_trivially_copyable_v<ProcessId>);

ProcessId id_of(const Forked& child) {
  return ProcessId::of(child.pid()).value();
}

void sleep_for_ever() {
  for (;;) ::pause();
}

char state_of(pid_t pid) {
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  return stat.at(stat.rfind(')') + 2);
}

TEST(ProcessId, of_this_process_is_alive) {
  const ProcessId self = ProcessId::self();
  EXPECT_EQ(self.pid, ::getpid());
  EXPECT_NE(self.start_time, 0U);
  EXPECT_EQ(self, ProcessId::of(::getpid()));
  EXPECT_FALSE(self.is_dead());
}

TEST(ProcessId, of_nobody_is_dead) {
  EXPECT_TRUE(ProcessId{}.is_dead());
  EXPECT_TRUE((ProcessId{.pid = -1, .start_time = 1}.is_dead()));
}

TEST(ProcessId, is_not_dead_while_it_runs_or_is_stopped) {
  Forked child{sleep_for_ever};
  const ProcessId id = id_of(child);
  EXPECT_FALSE(id.is_dead());
  child.kill(SIGSTOP);
  EXPECT_TRUE(eventually([&] { return state_of(child.pid()) == 'T'; }));
  EXPECT_FALSE(id.is_dead());
}

TEST(ProcessId, of_a_zombie_is_dead) {
  Forked child{sleep_for_ever};
  const ProcessId id = id_of(child);
  child.kill(SIGKILL);
  EXPECT_TRUE(eventually([&] { return child.ended(); }));
  EXPECT_TRUE(id.is_dead());
  EXPECT_EQ(ProcessId::of(child.pid()), id) << "a zombie still has its pid";
  EXPECT_EQ(child.wait(), killed_by(SIGKILL));
}

TEST(ProcessId, of_a_reaped_process_is_dead) {
  Forked child{sleep_for_ever};
  const ProcessId id = id_of(child);
  child.kill(SIGKILL);
  child.wait();
  EXPECT_TRUE(id.is_dead());
}

TEST(ProcessId, is_dead_when_a_later_process_has_its_pid) {
  ProcessId earlier = ProcessId::self();
  --earlier.start_time;
  EXPECT_TRUE(earlier.is_dead());
  EXPECT_NE(earlier, ProcessId::self());
}

TEST(ProcessId, is_read_behind_a_name_full_of_brackets_and_spaces) {
  Gate named;
  const Forked child{[&] {
    ::prctl(PR_SET_NAME, ") R 1 (2) 3");
    named.open();
    sleep_for_ever();
  }};
  const ProcessId before = id_of(child);
  named.wait();
  EXPECT_EQ(id_of(child), before);
  EXPECT_FALSE(before.is_dead());
}

TEST(ProcessId, of_a_pid_that_nobody_has_is_none) {
  Forked child{[] {}};
  child.wait();
  EXPECT_EQ(ProcessId::of(child.pid()), std::nullopt);
}

TEST(Pidfd, becomes_readable_when_the_process_has_ended) {
  Gate gate;
  Forked child{[&] { gate.wait(); }};
  const UniqueFd pidfd = open_pidfd(child.pid());
  EXPECT_FALSE(has_ended(pidfd.fd()));
  gate.open();
  EXPECT_TRUE(eventually([&] { return has_ended(pidfd.fd()); }));
  EXPECT_EQ(child.wait(), exited(0));
  EXPECT_TRUE(has_ended(pidfd.fd())) << "reaped or not";
}

TEST(Pidfd, of_a_process_that_is_gone_is_an_error_with_its_pid) {
  Forked child{[] {}};
  child.wait();
  try {
    open_pidfd(child.pid());
    FAIL() << "it was opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), std::errc::no_such_process);
    EXPECT_EQ(error.object(), std::to_string(child.pid()));
  }
}

TEST(SendSignal, says_whether_there_was_somebody_to_get_it) {
  Forked child{sleep_for_ever};
  const UniqueFd pidfd = open_pidfd(child.pid());
  EXPECT_TRUE(send_signal(pidfd.fd(), 0));
  EXPECT_TRUE(send_signal(pidfd.fd(), SIGTERM));
  EXPECT_EQ(child.wait(), killed_by(SIGTERM));
  EXPECT_FALSE(send_signal(pidfd.fd(), SIGTERM));
}

TEST(SendSignal, throws_when_there_is_no_such_signal) {
  const Forked child{sleep_for_ever};
  EXPECT_THROW(send_signal(child.pidfd(), 1000), Error);
}

}  // namespace
}  // namespace procpool
