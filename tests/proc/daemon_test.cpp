#include "proc/daemon.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/pipe.hpp"
#include "proc/pid_file.hpp"
#include "proc/process.hpp"
#include "proc/signal_action.hpp"
#include "tests/proc/telling.hpp"
#include "tests/support/children.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;
using test::Gate;

class DaemonTest : public testing::Test {
 protected:
  // Starts a daemon that is ready at once and stays until it is told to end.
  DaemonStart start_one(const DaemonOptions& options) {
    DaemonOptions kept = options;
    kept.keep.push_back(end_.fd());
    return daemonize(kept, [&](Daemon& daemon) {
      daemon.ready();
      end_.wait();
      return 0;
    });
  }

  void TearDown() override {
    end_.open();
    EXPECT_TRUE(test::await_no_children());
  }

  Gate end_;
  test::TempDir dir_;
  std::string pid_file_ = dir_.path() / "x.pid";
  std::string log_ = dir_.path() / "log";
};

TEST_F(DaemonTest, lives_on_when_its_launcher_was_told_that_it_is_ready) {
  const DaemonStart start = start_one({});
  EXPECT_EQ(start.exit_code, 0);
  EXPECT_EQ(start.message, "");
  ASSERT_TRUE(start.process);
  EXPECT_FALSE(start.process->is_dead());
}

TEST_F(DaemonTest, has_a_session_without_a_terminal_that_it_does_not_lead) {
  const auto start = daemonize({.log = log_}, [ours = ::getsid(0)](Daemon& daemon) {
    const bool right = ::getsid(0) != ours && ::getsid(0) != ::getpid() &&
                       ::getpgrp() == ::getpid() && ::open("/dev/tty", O_RDWR | O_CLOEXEC) < 0;
    daemon.ready();
    write_full(STDOUT_FILENO, right ? "right" : "wrong", "log");
    return 0;
  });
  EXPECT_EQ(start.exit_code, 0);
  EXPECT_TRUE(test::await_no_children());
  EXPECT_EQ(read_file(log_), "right");
}

TEST_F(DaemonTest, is_in_the_root_directory_with_a_mask_and_a_name_of_its_own) {
  daemonize({.name = "quiet-one", .log = log_}, [](Daemon& daemon) {
    daemon.ready();
    write_full(STDOUT_FILENO,
               std::filesystem::current_path().string() + " " + status_field("Umask") + " " +
                   status_field("Name"),
               "log");
    return 0;
  });
  EXPECT_TRUE(test::await_no_children());
  EXPECT_EQ(read_file(log_), "/ 0022 quiet-one");
}

TEST_F(DaemonTest, has_only_the_descriptors_that_it_keeps) {
  const auto other = ipc::make_pipe();
  const UniqueFd kept{::fcntl(other.reader.fd(), F_DUPFD_CLOEXEC, 40)};
  daemonize({.log = log_, .keep = {kept.fd()}}, [&](Daemon& daemon) {
    daemon.ready();
    std::string open;
    for (int fd = 0; fd < 1'000; ++fd) {
      if (::fcntl(fd, F_GETFD) >= 0) open += std::to_string(fd) + " ";
    }
    write_full(STDOUT_FILENO, open, "log");
    return 0;
  });
  EXPECT_TRUE(test::await_no_children());
  EXPECT_EQ(read_file(log_), "0 1 2 " + std::to_string(kept.fd()) + " ");
}

TEST_F(DaemonTest, appends_what_it_prints_to_its_log) {
  for (const char* word : {"first\n", "second\n"}) {
    daemonize({.log = log_}, [&](Daemon& daemon) {
      write_full(STDOUT_FILENO, word, "log");
      write_full(STDERR_FILENO, "err\n", "log");
      daemon.ready();
      return 0;
    });
    EXPECT_TRUE(test::await_no_children());
  }
  EXPECT_EQ(read_file(log_), "first\nerr\nsecond\nerr\n");
}

TEST_F(DaemonTest, holds_its_pid_file_itself_until_it_ends) {
  const DaemonStart start = start_one({.pid_file = pid_file_});
  ASSERT_TRUE(start.process);
  EXPECT_EQ(read_pid_file(pid_file_), start.process->pid);
  EXPECT_EQ(read_file(pid_file_), std::to_string(start.process->pid) + "\n");
  end_.open();
  EXPECT_TRUE(test::await_no_children());
  EXPECT_FALSE(std::filesystem::exists(pid_file_));
}

TEST_F(DaemonTest, finds_a_pid_file_that_is_relative_to_the_launchers_directory) {
  test::Forked launcher{[&] {
    std::filesystem::current_path(dir_.path());
    return start_one({.pid_file = "x.pid"}).exit_code;
  }};
  EXPECT_EQ(launcher.wait(), test::exited(0));
  EXPECT_TRUE(read_pid_file(pid_file_));
}

TEST_F(DaemonTest, is_refused_while_another_holds_the_pid_file) {
  const DaemonStart first = start_one({.pid_file = pid_file_});
  ASSERT_TRUE(first.process);
  const DaemonStart second = start_one({.pid_file = pid_file_});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_EQ(second.message, "pid file \"" + pid_file_ + "\": held by process " +
                                std::to_string(first.process->pid));
  EXPECT_FALSE(second.process);
  EXPECT_FALSE(first.process->is_dead());
}

TEST_F(DaemonTest, starts_over_a_pid_file_of_one_that_was_killed) {
  const DaemonStart first = start_one({.pid_file = pid_file_});
  ASSERT_TRUE(first.process);
  ::kill(first.process->pid, SIGKILL);
  EXPECT_TRUE(test::await_no_children());
  EXPECT_TRUE(std::filesystem::exists(pid_file_));
  EXPECT_EQ(start_one({.pid_file = pid_file_}).message, "");
}

TEST_F(DaemonTest, gives_its_launcher_the_message_and_the_code_of_its_failure) {
  const DaemonStart start = daemonize(
      {.pid_file = pid_file_}, [](Daemon& daemon) { return daemon.fail("port 80 is in use", 2); });
  EXPECT_EQ(start.exit_code, 2);
  EXPECT_EQ(start.message, "port 80 is in use");
  EXPECT_FALSE(start.process);
  EXPECT_FALSE(std::filesystem::exists(pid_file_)) << "it has ended when the launcher knows";
}

TEST_F(DaemonTest, gives_its_launcher_the_text_of_an_exception) {
  const DaemonStart start =
      daemonize({}, [](Daemon&) -> int { throw Error{"open", "/x/config", ENOENT}; });
  EXPECT_EQ(start.exit_code, 1);
  EXPECT_EQ(start.message, "open \"/x/config\": No such file or directory");
}

TEST_F(DaemonTest, is_known_to_have_ended_before_it_was_ready) {
  const DaemonStart exited = daemonize({.name = "x"}, [](Daemon&) { return 3; });
  EXPECT_EQ(exited.exit_code, 3);
  EXPECT_EQ(exited.message, "x exited with code 3 before it was ready");
  EXPECT_EQ(daemonize({}, [](Daemon&) { return 0; }).exit_code, 1);
  const DaemonStart killed = daemonize({}, [](Daemon&) { return ::raise(SIGTERM); });
  EXPECT_EQ(killed.exit_code, 1);
  EXPECT_EQ(killed.message, "the daemon was killed by SIGTERM before it was ready");
}

TEST_F(DaemonTest, is_killed_when_it_is_not_ready_in_time) {
  const DaemonStart start =
      daemonize({.ready_within = 20ms}, [](Daemon&) { return sleep_for_ever(); });
  EXPECT_EQ(start.exit_code, 1);
  EXPECT_EQ(start.message, "the daemon was not ready in time");
  EXPECT_TRUE(test::await_no_children());
}

TEST_F(DaemonTest, is_not_left_behind_however_little_time_it_has) {
  for (const auto time : {0ms, 1ms, 2ms, 3ms}) {
    for (int i = 0; i < 5; ++i) {
      daemonize({.ready_within = time}, [](Daemon&) { return sleep_for_ever(); });
      EXPECT_TRUE(test::await_no_children());
    }
  }
}

TEST_F(DaemonTest, is_killed_when_it_has_failed_and_does_not_end_in_time) {
  const DaemonStart start = daemonize({.ready_within = 500ms}, [](Daemon& daemon) {
    daemon.fail("no");
    return sleep_for_ever();
  });
  EXPECT_EQ(start.exit_code, 1);
  EXPECT_TRUE(test::await_no_children());
}

TEST_F(DaemonTest, is_heard_once) {
  const DaemonStart start = daemonize({}, [](Daemon& daemon) -> int {
    daemon.ready();
    daemon.ready();
    daemon.fail("too late");
    throw Error{"too", "late", EINVAL};
  });
  EXPECT_EQ(start.exit_code, 0);
  EXPECT_EQ(start.message, "");
}

TEST_F(DaemonTest, says_what_it_could_not_be_given) {
  EXPECT_EQ(start_one({.log = "/no/such/log"}).message,
            "open \"/no/such/log\": No such file or directory");
  EXPECT_EQ(start_one({.working_directory = "/no/such"}).message,
            "chdir \"/no/such\": No such file or directory");
  EXPECT_EQ(start_one({.pid_file = "/no/such/x.pid"}).message,
            "open \"/no/such/x.pid\": No such file or directory");
}

TEST_F(DaemonTest, takes_on_its_credentials_after_the_pid_file) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root";
  daemonize({.pid_file = pid_file_, .log = log_, .credentials = Credentials::of("nobody")},
            [](Daemon& daemon) {
              daemon.ready();
              write_full(STDOUT_FILENO, status_field("Uid") + status_field("CapEff"), "log");
              return 0;
            });
  EXPECT_TRUE(test::await_no_children());
  const std::string uid = std::to_string(Credentials::of("nobody").uid);
  EXPECT_EQ(read_file(log_), uid + "\t" + uid + "\t" + uid + "\t" + uid + "0000000000000000");
  EXPECT_EQ(read_pid_file(pid_file_), std::nullopt) << "nobody could not remove root's file";
}

TEST_F(DaemonTest, needs_no_standard_descriptors_and_no_heard_sigchld) {
  test::Forked launcher{[&] {
    const ScopedSignalAction ignored{SIGCHLD, SIG_IGN};
    for (int fd = 0; fd < 3; ++fd) ::close(fd);
    return start_one({.pid_file = pid_file_, .log = log_}).exit_code;
  }};
  EXPECT_EQ(launcher.wait(), test::exited(0));
  EXPECT_TRUE(read_pid_file(pid_file_));
}

TEST_F(DaemonTest, goes_on_when_its_launcher_is_killed_before_it_is_ready) {
  Gate begun;
  Gate go;
  test::Forked launcher{[&] {
    daemonize({.log = log_, .keep = {begun.fd(), go.fd()}}, [&](Daemon& daemon) {
      begun.open();
      go.wait();
      daemon.ready();
      write_full(STDOUT_FILENO, "serving", "log");
      return 0;
    });
  }};
  begun.wait();
  launcher.kill(SIGKILL);
  launcher.wait();
  go.open();
  EXPECT_TRUE(test::await_no_children());
  EXPECT_EQ(read_file(log_), "serving");
}

}  // namespace
}  // namespace procpool::proc
