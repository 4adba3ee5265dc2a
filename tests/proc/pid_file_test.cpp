#include "proc/pid_file.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "proc/process.hpp"
#include "proc/signal_action.hpp"
#include "tests/support/children.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::proc {
namespace {

using test::Forked;
using test::Gate;
using test::TempDir;

class PidFileTest : public testing::Test {
 protected:
  // The text of the error, or nothing.
  std::string try_to_hold() const {
    try {
      const PidFile file{path_};
      return {};
    } catch (const Error& error) {
      return error.what();
    }
  }

  std::string held_by(pid_t pid) const {
    return "pid file \"" + path_ + "\": held by process " + std::to_string(pid);
  }

  // A process that holds the file until it is killed.
  Forked holder() const {
    Gate holding;
    Forked child{[&] {
      const PidFile file{path_};
      holding.open();
      for (;;) ::pause();
    }};
    holding.wait();
    return child;
  }

  TempDir dir_;
  std::string path_ = dir_.path() / "x.pid";
};

TEST_F(PidFileTest, refuses_what_is_no_regular_file_and_leaves_it_there) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_NE(try_to_hold(), "");
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(PidFileTest, says_who_runs_while_it_lives_and_is_removed_at_the_end) {
  {
    const PidFile file{path_};
    EXPECT_EQ(read_file(path_), std::to_string(::getpid()) + "\n");
    EXPECT_EQ(read_pid_file(path_), ::getpid());
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_EQ(read_pid_file(path_), std::nullopt);
}

TEST_F(PidFileTest, is_refused_to_a_second_process_which_learns_who_holds_it) {
  const Forked other = holder();
  EXPECT_EQ(try_to_hold(), held_by(other.pid()));
  EXPECT_EQ(read_pid_file(path_), other.pid());
}

TEST_F(PidFileTest, is_refused_to_the_same_process_a_second_time) {
  const PidFile file{path_};
  EXPECT_EQ(try_to_hold(), held_by(::getpid()));
  EXPECT_EQ(read_pid_file(path_), ::getpid()) << "asking has not let it go";
}

TEST_F(PidFileTest, is_free_again_when_its_holder_is_killed) {
  Forked other = holder();
  other.kill(SIGKILL);
  other.wait();
  EXPECT_TRUE(std::filesystem::exists(path_));
  EXPECT_EQ(read_pid_file(path_), std::nullopt) << "stale content is not a holder";
  EXPECT_EQ(try_to_hold(), "");
}

TEST_F(PidFileTest, takes_over_files_that_are_empty_stale_or_full_of_other_things) {
  for (const std::string content : {"", "1\n", "999999999999\n", "not a number at all\n"}) {
    std::ofstream{path_} << content;
    EXPECT_EQ(read_pid_file(path_), std::nullopt);
    const PidFile file{path_};
    EXPECT_EQ(read_file(path_), std::to_string(::getpid()) + "\n");
  }
}

TEST_F(PidFileTest, knows_its_holder_whatever_the_file_says) {
  const Forked other = holder();
  ASSERT_EQ(::truncate(path_.c_str(), 0), 0);
  EXPECT_EQ(read_pid_file(path_), other.pid());
  EXPECT_EQ(try_to_hold(), held_by(other.pid()));
}

TEST_F(PidFileTest, is_another_file_after_it_was_unlinked_or_replaced) {
  const PidFile first{path_};
  std::filesystem::remove(path_);
  {
    const PidFile second{path_};
    EXPECT_EQ(read_pid_file(path_), ::getpid());
  }
  std::ofstream{path_} << "somebody else's\n";
  {
    const PidFile third{path_};
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(PidFileTest, leaves_a_file_that_is_no_longer_its_own) {
  {
    const PidFile file{path_};
    std::filesystem::remove(path_);
    std::ofstream{path_} << "somebody else's\n";
  }
  EXPECT_EQ(read_file(path_), "somebody else's\n");
}

TEST_F(PidFileTest, stays_with_the_parent_when_a_child_drops_its_copy) {
  const PidFile file{path_};
  Forked child{[&] {
    const PidFile copy{std::move(const_cast<PidFile&>(file))};
    return 0;
  }};
  EXPECT_EQ(child.wait(), test::exited(0));
  EXPECT_EQ(read_file(path_), std::to_string(::getpid()) + "\n");
  EXPECT_EQ(read_pid_file(path_), ::getpid());
}

TEST_F(PidFileTest, is_not_held_by_a_child_that_keeps_only_what_it_needs) {
  Gate started;
  Forked master{[&] {
    const PidFile file{path_};
    const Process worker = Process::fork(
        []() -> int {
          for (;;) ::pause();
        },
        {.keep_only = {{}}});
    started.open();
    for (;;) ::pause();
  }};
  started.wait();
  master.kill(SIGKILL);
  master.wait();
  EXPECT_EQ(try_to_hold(), "") << "the worker lives, but has no copy of the lock";
  test::kill_and_reap_all();
}

TEST_F(PidFileTest, has_one_holder_at_a_time_however_many_race_for_it) {
  constexpr int kRacers = 4;
  constexpr int kTimes = test::kSanitized ? 20 : 50;
  const std::string counter = dir_.path() / "inside";
  std::vector<Forked> racers;
  racers.reserve(kRacers);
  for (int racer = 0; racer < kRacers; ++racer) {
    racers.emplace_back([&] {
      for (int held = 0; held < kTimes;) {
        try {
          const PidFile file{path_};
          ++held;
          // Whoever is inside alone can make this folder.
          if (::mkdir(counter.c_str(), 0700) != 0) return 1;
          if (read_pid_file(path_) != ::getpid()) return 2;
          ::rmdir(counter.c_str());
        } catch (const Error& error) {
          if (std::string_view{error.what()}.find("held by") == std::string_view::npos) return 3;
        }
      }
      return 0;
    });
  }
  for (Forked& racer : racers) EXPECT_EQ(racer.wait(), test::exited(0));
}

// Its child, with a greater or smaller pid, gets the descriptor by fork.
TEST_F(PidFileTest, is_another_processs_when_that_has_its_descriptor_and_says_so) {
  PidFile mine{path_};
  Gate held;
  Gate over;
  Forked successor{[&] {
    const PidFile its{path_, UniqueFd{::fcntl(mine.fd(), F_DUPFD_CLOEXEC, 0)}};
    held.open();
    over.wait();
    return 0;
  }};
  held.wait();
  EXPECT_EQ(read_pid_file(path_), successor.pid());
  EXPECT_EQ(read_file(path_), std::to_string(successor.pid()) + "\n");
  mine.leave();
  EXPECT_EQ(try_to_hold(),
            "pid file \"" + path_ + "\": held by process " + std::to_string(successor.pid()));
  over.open();
  EXPECT_EQ(successor.wait(), test::exited(0));
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(PidFileTest, is_held_again_when_the_other_process_has_died) {
  PidFile mine{path_};
  Gate held;
  Forked successor{[&] {
    const PidFile its{path_, UniqueFd{::fcntl(mine.fd(), F_DUPFD_CLOEXEC, 0)}};
    held.open();
    ::pause();
  }};
  held.wait();
  successor.kill(SIGKILL);
  successor.wait();
  mine.hold();
  EXPECT_EQ(read_pid_file(path_), ::getpid());
  EXPECT_EQ(read_file(path_), std::to_string(::getpid()) + "\n");
}

TEST_F(PidFileTest, is_not_taken_over_if_it_is_not_the_file_at_its_path) {
  const PidFile mine{path_};
  const UniqueFd other{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  EXPECT_THROW((PidFile{path_, UniqueFd{::fcntl(other.fd(), F_DUPFD_CLOEXEC, 0)}}), Error);
  EXPECT_EQ(read_pid_file(path_), ::getpid());
}

TEST_F(PidFileTest, says_what_it_cannot_open_or_write) {
  path_ = dir_.path() / "no" / "such" / "x.pid";
  EXPECT_EQ(try_to_hold(), "open \"" + path_ + "\": No such file or directory");
  path_ = dir_.path() / "full.pid";
  Forked child{[&] {
    const ScopedSignalAction ignored{SIGXFSZ, SIG_IGN};
    const rlimit nothing{.rlim_cur = 0, .rlim_max = RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &nothing);
    return try_to_hold() == "write \"" + path_ + "\": File too large" ? 0 : 1;
  }};
  EXPECT_EQ(child.wait(), test::exited(0));
  EXPECT_FALSE(std::filesystem::exists(path_)) << "nothing half-made is left";
}

}  // namespace
}  // namespace procpool::proc
