#include <signal.h>
#include <unistd.h>

#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "proc/signal_action.hpp"
#include "proc/signal_mask.hpp"
#include "proc/signal_set.hpp"
#include "proc/signal_source.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"

namespace procpool::proc {
namespace {

using test::Forked;
using test::Gate;

TEST(SignalSet, holds_what_was_added_and_not_what_was_removed) {
  SignalSet set{SIGTERM, SIGINT};
  set.add(SIGHUP).remove(SIGINT);
  EXPECT_TRUE(set.contains(SIGTERM));
  EXPECT_TRUE(set.contains(SIGHUP));
  EXPECT_FALSE(set.contains(SIGINT));
  EXPECT_TRUE(SignalSet::all().contains(SIGUSR2));
}

TEST(SignalSet, refuses_what_is_no_signal) {
  EXPECT_THROW(SignalSet{4711}, Error);
}

TEST(ScopedSignalMask, blocks_for_its_scope_and_restores_the_former_mask) {
  const ScopedSignalMask outer{{SIGUSR1}};
  {
    const ScopedSignalMask inner{{SIGUSR2}};
    EXPECT_TRUE(SignalSet::blocked().contains(SIGUSR1));
    EXPECT_TRUE(SignalSet::blocked().contains(SIGUSR2));
  }
  EXPECT_TRUE(SignalSet::blocked().contains(SIGUSR1));
  EXPECT_FALSE(SignalSet::blocked().contains(SIGUSR2));
}

TEST(ScopedSignalAction, is_undone_at_the_end_of_its_scope) {
  static volatile sig_atomic_t seen = 0;
  const ScopedSignalAction ignored{SIGUSR1, SIG_IGN};
  {
    const ScopedSignalAction counted{SIGUSR1, [](int) { seen = seen + 1; }};
    ::raise(SIGUSR1);
  }
  ::raise(SIGUSR1);
  EXPECT_EQ(seen, 1);
}

TEST(ScopedSignalAction, refuses_sigkill) {
  EXPECT_THROW((ScopedSignalAction{SIGKILL, SIG_IGN}), Error);
}

TEST(SignalSource, gives_signals_as_data_with_their_sender) {
  SignalSource signals{{SIGUSR1, SIGRTMIN}};
  EXPECT_EQ(signals.try_next(), std::nullopt);
  ::kill(::getpid(), SIGUSR1);
  ::sigqueue(::getpid(), SIGRTMIN, {.sival_int = 42});
  ASSERT_NE(wait_ready(signals.fd(), POLLIN, Deadline::never()), 0);
  std::vector<SignalInfo> seen;
  while (const auto signal = signals.try_next()) seen.push_back(*signal);
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].number, SIGUSR1);
  EXPECT_EQ(seen[0].sender, ::getpid());
  EXPECT_EQ(seen[0].uid, ::getuid());
  EXPECT_EQ(seen[1].number, SIGRTMIN);
  EXPECT_EQ(seen[1].value, 42);
}

TEST(SignalSource, gives_a_standard_signal_once_however_often_it_came) {
  SignalSource signals{{SIGUSR1}};
  for (int i = 0; i < 3; ++i) ::kill(::getpid(), SIGUSR1);
  EXPECT_TRUE(signals.try_next());
  EXPECT_FALSE(signals.try_next());
}

TEST(SignalSource, refuses_to_work_in_a_child_which_makes_its_own) {
  SignalSource signals{{SIGUSR1}};
  Forked child{[&] {
    try {
      signals.try_next();
      return 1;
    } catch (const Error&) {
    }
    SignalSource own{{SIGUSR1}};
    ::kill(::getpid(), SIGUSR1);
    return own.try_next() ? 0 : 2;
  }};
  EXPECT_EQ(child.wait(), test::exited(0));
  EXPECT_FALSE(signals.try_next());
}

TEST(SignalSource, lets_the_signals_through_again_when_it_ends) {
  Forked child{[] {
    {
      SignalSource signals{{SIGUSR1}};
    }
    ::kill(::getpid(), SIGUSR1);
  }};
  EXPECT_EQ(child.wait(), test::killed_by(SIGUSR1));
}

}  // namespace
}  // namespace procpool::proc
