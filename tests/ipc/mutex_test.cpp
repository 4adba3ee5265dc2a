#include "ipc/mutex.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/pipe.hpp"
#include "ipc/shared.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/sanitizers.hpp"

namespace procpool::ipc {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::exited;
using test::Forked;
using test::Gate;
using test::killed_by;
using test::kPatience;

struct State {
  Mutex mutex;
  long count = 0;
};

// Holds the mutex until it is killed.
Forked hold(Mutex& mutex) {
  Gate locked;
  Forked holder{[&] {
    mutex.lock();
    locked.open();
    for (;;) ::pause();
  }};
  locked.wait();
  return holder;
}

void kill(Forked& child) {
  child.kill(SIGKILL);
  EXPECT_EQ(child.wait(), killed_by(SIGKILL));
}

TEST(Mutex, excludes_processes_from_each_other) {
  constexpr int kProcesses = 4;
  constexpr long kRounds = test::kSanitized ? 3000 : 30000;
  const Shared<State> state;
  std::vector<Forked> children;
  children.reserve(kProcesses);
  for (int i = 0; i < kProcesses; ++i) {
    children.emplace_back([&] {
      for (long round = 0; round < kRounds; ++round) {
        const std::scoped_lock lock{state->mutex};
        volatile long& count = state->count;
        count = count + 1;
      }
    });
  }
  for (Forked& child : children) EXPECT_EQ(child.wait(), exited(0));
  EXPECT_EQ(state->count, kProcesses * kRounds);
  EXPECT_EQ(state->mutex.takeovers(), 0U);
}

// The proof that an owner has died wants a descriptor.
TEST(Mutex, waits_for_its_owner_when_there_is_no_descriptor_left_to_see_that_he_lives) {
  const Shared<State> state;
  Forked holder = hold(state->mutex);
  Gate has_tried;
  Forked other{[&] {
    Mutex own;
    own.lock();  // this thread is known from here on
    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
    if (::setrlimit(RLIMIT_NOFILE, &none) < 0) throw_errno("setrlimit", "RLIMIT_NOFILE");
    if (state->mutex.try_lock() || state->mutex.try_lock_for(100ms)) return 1;
    has_tried.open();
    state->mutex.lock();  // when he is gone
    return 0;
  }};
  EXPECT_TRUE(has_tried.wait());
  kill(holder);
  EXPECT_EQ(other.wait(), exited(0));
}

TEST(Mutex, excludes_threads_from_each_other) {
  constexpr long kRounds = 3000;
  Mutex mutex;
  long count = 0;
  const auto work = [&] {
    for (long round = 0; round < kRounds; ++round) {
      const std::scoped_lock lock{mutex};
      ++count;
    }
  };
  std::thread first{work};
  std::thread second{work};
  first.join();
  second.join();
  EXPECT_EQ(count, 2 * kRounds);
}

TEST(Mutex, is_not_had_by_trying_while_another_process_owns_it) {
  const Shared<State> state;
  Forked holder = hold(state->mutex);
  EXPECT_FALSE(state->mutex.try_lock());
  kill(holder);
  EXPECT_TRUE(eventually([&] { return state->mutex.try_lock(); }));
  state->mutex.unlock();
}

TEST(Mutex, is_waited_for_no_less_than_the_time_given) {
  const Shared<State> state;
  const Forked holder = hold(state->mutex);
  for (const auto time : {10ms, 120ms}) {
    const auto start = Deadline::Clock::now();
    EXPECT_FALSE(state->mutex.try_lock_for(time));
    EXPECT_GE(Deadline::Clock::now() - start, time);
  }
  EXPECT_FALSE(state->mutex.try_lock_until(std::chrono::system_clock::now() + 5ms));
  EXPECT_FALSE(state->mutex.try_lock_until(std::chrono::steady_clock::now() - 1h));
  EXPECT_FALSE(state->mutex.try_lock_until(Deadline::now()));
}

TEST(Mutex, is_had_by_waiting_when_it_becomes_free) {
  const Shared<State> state;
  state->mutex.lock();
  Gate waiting;
  Forked waiter{[&] {
    waiting.open();
    return state->mutex.try_lock_for(kPatience) ? 0 : 1;
  }};
  waiting.wait();
  EXPECT_FALSE(waiter.ended());
  state->mutex.unlock();
  EXPECT_EQ(waiter.wait(), exited(0));
}

TEST(Mutex, is_a_timed_lockable) {
  Mutex mutex;
  const std::unique_lock lock{mutex, 1s};
  EXPECT_TRUE(lock.owns_lock());
  std::thread{[&] {
    const std::unique_lock other{mutex, std::try_to_lock};
    EXPECT_FALSE(other.owns_lock());
  }}.join();
}

TEST(Mutex, refuses_to_be_locked_twice_by_its_owner) {
  Mutex mutex;
  mutex.lock();
  for (const bool waits : {true, false}) {
    try {
      if (waits) {
        mutex.lock();
      } else {
        static_cast<void>(mutex.try_lock());
      }
      ADD_FAILURE() << "it was locked twice";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), std::errc::resource_deadlock_would_occur);
    }
  }
  mutex.unlock();
}

TEST(Mutex, refuses_to_be_unlocked_by_another_than_its_owner) {
  const Shared<State> state;
  state->mutex.lock();
  Forked child{[&] {
    try {
      state->mutex.unlock();
    } catch (const Error& error) {
      return error.code() == std::errc::operation_not_permitted ? 0 : 2;
    }
    return 1;
  }};
  EXPECT_EQ(child.wait(), exited(0)) << "a child of fork does not own what its parent holds";
  state->mutex.unlock();
  EXPECT_THROW(state->mutex.unlock(), Error);
}

TEST(Mutex, passes_to_the_next_when_its_owner_is_killed) {
  const Shared<State> state;
  Forked holder = hold(state->mutex);
  kill(holder);
  ASSERT_TRUE(state->mutex.try_lock_for(kPatience));
  EXPECT_TRUE(state->mutex.took_over());
  EXPECT_EQ(state->mutex.takeovers(), 1U);
  state->mutex.unlock();
  state->mutex.lock();
  EXPECT_FALSE(state->mutex.took_over()) << "its last owner gave it back";
  EXPECT_EQ(state->mutex.takeovers(), 1U);
  state->mutex.unlock();
}

TEST(Mutex, passes_to_one_who_waits_when_its_owner_is_killed) {
  const Shared<State> state;
  Forked holder = hold(state->mutex);
  std::vector<Forked> waiters;
  waiters.reserve(3);
  for (int i = 0; i < 3; ++i) {
    waiters.emplace_back([&] {
      const std::scoped_lock lock{state->mutex};
      ++state->count;
    });
  }
  kill(holder);
  for (Forked& waiter : waiters) EXPECT_EQ(waiter.wait(), exited(0));
  EXPECT_EQ(state->count, 3);
  EXPECT_EQ(state->mutex.takeovers(), 1U);
}

TEST(Mutex, passes_on_when_the_one_who_took_it_over_is_killed_too) {
  const Shared<State> state;
  for (std::uint64_t deaths = 1; deaths <= 3; ++deaths) {
    Forked holder = hold(state->mutex);
    kill(holder);
    EXPECT_EQ(state->mutex.takeovers(), deaths - 1);
  }
  state->mutex.lock();
  EXPECT_TRUE(state->mutex.took_over());
  EXPECT_EQ(state->mutex.takeovers(), 3U);
  state->mutex.unlock();
}

TEST(Mutex, passes_on_when_its_owner_exits) {
  const Shared<State> state;
  Forked exits{[&] { state->mutex.lock(); }};
  EXPECT_EQ(exits.wait(), exited(0));
  ASSERT_TRUE(state->mutex.try_lock());
  EXPECT_TRUE(state->mutex.took_over());
  state->mutex.unlock();
}

TEST(Mutex, stays_with_an_owner_that_executes_another_program_until_that_ends) {
  const Shared<State> state;
  auto [end, program] = make_pipe();
  Forked executes{[&] {
    state->mutex.lock();
    ::dup2(end.fd(), STDIN_FILENO);
    program.close();
    ::execl("/bin/cat", "cat", nullptr);
    return 1;
  }};
  ASSERT_TRUE(eventually([&] { return state->mutex.owner() != kNobody; }));
  EXPECT_FALSE(state->mutex.try_lock_for(100ms));
  program.close();
  EXPECT_EQ(executes.wait(), exited(0));
  ASSERT_TRUE(state->mutex.try_lock());
  EXPECT_TRUE(state->mutex.took_over());
  state->mutex.unlock();
}

TEST(Mutex, passes_on_when_the_thread_that_owns_it_ends) {
  Mutex mutex;
  std::thread{[&] { mutex.lock(); }}.join();
  ASSERT_TRUE(mutex.try_lock_for(kPatience));
  EXPECT_TRUE(mutex.took_over());
  mutex.unlock();
}

TEST(Mutex, stays_with_an_owner_that_is_stopped) {
  const Shared<State> state;
  Forked holder = hold(state->mutex);
  holder.kill(SIGSTOP);
  EXPECT_FALSE(state->mutex.try_lock_for(150ms));
}

TEST(Mutex, is_not_held_up_by_waiters_that_are_killed) {
  const Shared<State> state;
  state->mutex.lock();
  std::vector<Forked> waiters;
  waiters.reserve(6);
  for (int i = 0; i < 6; ++i) {
    waiters.emplace_back([&] {
      state->mutex.lock();
      state->mutex.unlock();
    });
  }
  std::this_thread::sleep_for(5ms);  // lets most of them fall asleep, and needs none of them to
  for (std::size_t i = 0; i < waiters.size(); i += 2) kill(waiters[i]);
  state->mutex.unlock();
  for (std::size_t i = 1; i < waiters.size(); i += 2) EXPECT_EQ(waiters[i].wait(), exited(0));
  ASSERT_TRUE(state->mutex.try_lock_for(kPatience));
  EXPECT_EQ(state->mutex.takeovers(), 0U);
  state->mutex.unlock();
}

TEST(Mutex, comes_back_among_many_when_one_thread_held_them_all) {
  struct Many {
    std::array<Mutex, 500> mutexes;
  };
  const Shared<Many> many;
  Forked child{[&] {
    for (Mutex& mutex : many->mutexes) mutex.lock();
    ::raise(SIGKILL);
  }};
  EXPECT_EQ(child.wait(), killed_by(SIGKILL));
  for (Mutex& mutex : many->mutexes) {
    ASSERT_TRUE(mutex.try_lock());
    EXPECT_TRUE(mutex.took_over());
    mutex.unlock();
  }
}

}  // namespace
}  // namespace procpool::ipc
