#include "ipc/file_lock.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/shared.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/single_step.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::ipc {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::exited;
using test::Forked;
using test::Gate;
using test::kPatience;
using test::TempDir;

template <typename Action>
std::error_code error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  return {};
}

class FileLockTest : public testing::Test {
 protected:
  std::string path() const { return dir_.path() / "lock"; }

 private:
  TempDir dir_;
};

TEST_F(FileLockTest, excludes_others) {
  FileLock mine{path()};
  FileLock other{path()};
  {
    const std::scoped_lock guard{mine};
    EXPECT_FALSE(other.try_lock());
    EXPECT_FALSE(other.try_lock_shared());
  }
  EXPECT_TRUE(other.try_lock());
  Forked child{[&] { return FileLock{path()}.try_lock() ? 1 : 0; }};
  EXPECT_EQ(child.wait(), exited(0));
  other.unlock();
}

TEST_F(FileLockTest, is_shared_by_readers_and_excludes_a_writer) {
  FileLock first{path()};
  FileLock second{path()};
  FileLock writer{path()};
  const std::shared_lock reading{first};
  EXPECT_TRUE(second.try_lock_shared());
  EXPECT_FALSE(writer.try_lock());
  second.unlock_shared();
  EXPECT_FALSE(writer.try_lock());
}

TEST_F(FileLockTest, is_of_a_range) {
  FileLock front{path(), {.begin = 0, .length = 100}};
  FileLock back{path(), {.begin = 100}};
  FileLock across{path(), {.begin = 99, .length = 2}};
  EXPECT_TRUE(front.try_lock());
  EXPECT_TRUE(back.try_lock());
  EXPECT_FALSE(across.try_lock());
  EXPECT_EQ(error_of([&] { FileLock{path(), {.begin = -1}}.try_lock(); }),
            std::errc::invalid_argument);
}

TEST_F(FileLockTest, waits_until_its_holder_unlocks) {
  FileLock mine{path()};
  mine.lock();
  Forked waiter{[&] {
    FileLock theirs{path()};
    theirs.lock();
  }};
  Forked timed_waiter{[&] { return FileLock{path()}.try_lock_shared_for(kPatience) ? 0 : 1; }};
  EXPECT_TRUE(eventually([&] { return test::is_asleep(waiter.pid()); }));
  mine.unlock();
  EXPECT_EQ(waiter.wait(), exited(0));
  EXPECT_EQ(timed_waiter.wait(), exited(0));
}

TEST_F(FileLockTest, waits_no_longer_than_it_is_told) {
  FileLock mine{path()};
  const std::scoped_lock guard{mine};
  FileLock other{path()};
  const auto start = Deadline::Clock::now();
  EXPECT_FALSE(other.try_lock_for(10ms));
  EXPECT_FALSE(other.try_lock_shared_until(std::chrono::system_clock::now() + 10ms));
  EXPECT_GE(Deadline::Clock::now() - start, 20ms);
  EXPECT_FALSE(other.try_lock_until(Deadline::now()));
}

TEST_F(FileLockTest, comes_free_when_its_holder_is_killed) {
  Gate locked;
  Forked holder{[&] {
    FileLock theirs{path()};
    theirs.lock();
    locked.open();
    ::pause();
  }};
  locked.wait();
  FileLock mine{path()};
  EXPECT_FALSE(mine.try_lock());
  holder.kill(SIGSTOP);
  EXPECT_FALSE(mine.try_lock_for(5ms)) << "a stopped one keeps it";
  holder.kill(SIGKILL);
  EXPECT_TRUE(mine.try_lock_for(kPatience));
}

TEST_F(FileLockTest, is_held_once_and_unlocked_by_its_holder) {
  FileLock lock{path()};
  EXPECT_EQ(error_of([&] { lock.unlock(); }), std::errc::operation_not_permitted);
  lock.lock();
  EXPECT_EQ(error_of([&] { lock.lock(); }), std::errc::resource_deadlock_would_occur);
  EXPECT_EQ(error_of([&] { lock.try_lock_shared(); }), std::errc::resource_deadlock_would_occur);
  EXPECT_EQ(error_of([&] { lock.unlock_shared(); }), std::errc::operation_not_permitted);
  lock.unlock();
}

TEST_F(FileLockTest, is_kept_by_a_child_that_inherited_it) {
  std::optional<FileLock> mine{path()};
  mine->lock();
  Gate gate;
  Forked child{[&] { gate.wait(); }};
  mine.reset();
  FileLock other{path()};
  EXPECT_FALSE(other.try_lock());
  gate.open();
  child.wait();
  EXPECT_TRUE(other.try_lock());
}

TEST_F(FileLockTest, locks_a_file_that_is_open_already) {
  UniqueFd read_only{::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)};
  FileLock lock{std::move(read_only)};
  EXPECT_EQ(error_of([&] { lock.try_lock(); }), std::errc::bad_file_descriptor);
  EXPECT_TRUE(lock.try_lock_shared());
  FileLock moved{std::move(lock)};
  moved.unlock_shared();
  EXPECT_EQ(error_of([] { FileLock{UniqueFd{}}.lock(); }), std::errc::bad_file_descriptor);
}

TEST_F(FileLockTest, needs_a_file) {
  const TempDir dir;
  EXPECT_EQ(error_of([&] { const FileLock lock{dir.path() / "none" / "lock"}; }),
            std::errc::no_such_file_or_directory);
  EXPECT_EQ(error_of([&] { const FileLock lock{dir.path()}; }), std::errc::is_a_directory);
  std::filesystem::create_symlink("/dev/null", dir.path() / "link");
  EXPECT_EQ(error_of([&] { const FileLock lock{dir.path() / "link"}; }),
            std::errc::too_many_symbolic_link_levels);
}

// Adding up a number that is no atomic, in several processes of which some are killed.
TEST_F(FileLockTest, lets_one_in_at_a_time) {
  constexpr int kProcesses = 4;
  constexpr long kRounds = 500;
  struct Numbers {
    volatile long first = 0;
    volatile long second = 0;
  };
  const Shared<Numbers> numbers;
  std::vector<Forked> children;
  children.reserve(kProcesses);
  for (int i = 0; i < kProcesses; ++i) {
    children.emplace_back([&] {
      FileLock lock{path()};
      for (long round = 0; round < kRounds; ++round) {
        const std::scoped_lock guard{lock};
        numbers->first = numbers->first + 1;
        numbers->second = numbers->second + 1;
      }
    });
  }
  for (Forked& child : children) EXPECT_EQ(child.wait(), exited(0));
  EXPECT_EQ(numbers->first, kProcesses * kRounds);
  EXPECT_EQ(numbers->second, kProcesses * kRounds);
}

}  // namespace
}  // namespace procpool::ipc
