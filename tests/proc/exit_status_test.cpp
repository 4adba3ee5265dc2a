#include "proc/exit_status.hpp"

#include <sys/wait.h>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "tests/support/forked.hpp"

namespace procpool::proc {
namespace {

TEST(ExitStatus, tells_a_code_from_a_signal_of_the_same_number) {
  const auto exited = ExitStatus::exited(9);
  const auto killed = ExitStatus::signaled(SIGKILL);
  EXPECT_NE(exited, killed);
  EXPECT_EQ(exited.code(), 9);
  EXPECT_EQ(exited.signal(), std::nullopt);
  EXPECT_EQ(killed.code(), std::nullopt);
  EXPECT_EQ(killed.signal(), SIGKILL);
  EXPECT_FALSE(exited.success());
  EXPECT_FALSE(killed.success());
  EXPECT_TRUE(ExitStatus::exited(0).success());
}

TEST(ExitStatus, says_in_words_what_happened) {
  EXPECT_EQ(ExitStatus::exited(3).text(), "exited with code 3");
  EXPECT_EQ(ExitStatus::signaled(SIGTERM).text(), "killed by SIGTERM");
  EXPECT_EQ(ExitStatus::signaled(SIGSEGV, ExitStatus::Core::dumped).text(),
            "killed by SIGSEGV (core dumped)");
}

TEST(ExitStatus, reads_what_waitpid_gives) {
  EXPECT_EQ(ExitStatus::from_wait_status(W_EXITCODE(42, 0)), ExitStatus::exited(42));
  EXPECT_EQ(ExitStatus::from_wait_status(W_EXITCODE(0, SIGHUP)), ExitStatus::signaled(SIGHUP));
  EXPECT_EQ(ExitStatus::from_wait_status(W_EXITCODE(0, SIGABRT) | WCOREFLAG),
            ExitStatus::signaled(SIGABRT, ExitStatus::Core::dumped));
}

TEST(ExitStatus, names_real_time_signals_and_what_is_none) {
  EXPECT_EQ(signal_name(SIGCHLD), "SIGCHLD");
  EXPECT_EQ(signal_name(SIGRTMIN), "SIGRTMIN");
  EXPECT_EQ(signal_name(SIGRTMIN + 2), "SIGRTMIN+2");
  EXPECT_EQ(signal_name(99), "signal 99");
}

}  // namespace
}  // namespace procpool::proc
