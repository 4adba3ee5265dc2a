// What cannot be done is said, named by the step that failed, and leaves nothing behind.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "proc/pool.hpp"
#include "proc/process.hpp"
#include "proc/run.hpp"
#include "proc/signal_action.hpp"
#include "tests/proc/watched_supervisor.hpp"
#include "tests/support/children.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::proc {
namespace {

using test::Forked;
using test::TempDir;

rlim_t most_descriptors() {
  return std::stoul(read_file("/proc/sys/fs/nr_open"));
}

// The kernel lets nobody have more descriptors than fs.nr_open: setrlimit(2), EPERM.
ResourceLimit refused_limit() {
  return {RLIMIT_NOFILE, most_descriptors() + 1, most_descriptors() + 1};
}

TEST(BadInput, of_a_limit_that_is_refused_is_named) {
  for (const bool forks : {true, false}) {
    try {
      const ChildOptions options{.name = "worker", .limits = {refused_limit()}};
      forks ? Process::fork([] { return 0; }, options) : Process::spawn({"true"}, options);
      ADD_FAILURE() << "it has started";
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "setrlimit \"worker\": Operation not permitted");
    }
  }
  EXPECT_FALSE(test::has_children());
}

struct BadChild {
  std::string name;
  ChildOptions options;
  std::string reason;
};

class BadInputOfASupervisor : public testing::TestWithParam<BadChild> {};

TEST_P(BadInputOfASupervisor, fails_the_generation_with_the_step_and_leaves_the_current_one) {
  Watched watched;
  watched.start(workers(2));
  const auto before = watched.pids();
  ChildSpec bad = worker();
  bad.options = GetParam().options;
  watched.supervisor.start_generation({worker(), bad}, terminate);
  watched.step_until_told(Kind::generation_gone);
  EXPECT_EQ(watched.first(Kind::start_failed).reason, GetParam().reason);
  EXPECT_EQ(watched.first(Kind::generation_failed).reason, "worker: " + GetParam().reason);
  EXPECT_EQ(watched.pids(), before);
  EXPECT_EQ(test::list_children().size(), 2U);
}

INSTANTIATE_TEST_SUITE_P(
    Options, BadInputOfASupervisor,
    testing::Values(BadChild{"directory", ChildOptions{.working_directory = "/no/such"},
                             "chdir \"/no/such\": No such file or directory"},
                    BadChild{"file",
                             ChildOptions{.redirections = {Redirection::file(STDOUT_FILENO,
                                                                             "/no/such/log")}},
                             "open \"/no/such/log\": No such file or directory"},
                    BadChild{"limit", ChildOptions{.limits = {refused_limit()}},
                             "setrlimit \"worker\": Operation not permitted"}),
    [](const auto& param_info) { return param_info.param.name; });

TEST(BadInput, of_an_ignored_sigchld_is_what_a_supervisor_tells) {
  const ScopedSignalAction ignored{SIGCHLD, SIG_IGN};
  Watched watched;
  watched.supervisor.start_generation(workers(1), terminate);
  watched.step_until_told(Kind::generation_failed);
  EXPECT_NE(watched.first(Kind::start_failed).reason.find("SIGCHLD"), std::string::npos)
      << watched.first(Kind::start_failed).reason;
  EXPECT_FALSE(test::has_children());
}

// As a program is that was executed by one that ignored SIGPIPE and had no standard descriptors.
TEST(BadInput, of_closed_descriptors_and_an_ignored_sigpipe_reaches_no_supervised_child) {
  Forked program{[] {
    const ScopedSignalAction ignored{SIGPIPE, SIG_IGN};
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::close(fd);
    Watched watched;
    ChildSpec child = worker([](ChildContext& context) {
      struct sigaction action{};
      ::sigaction(SIGPIPE, nullptr, &action);
      context.ready();
      if (action.sa_handler != SIG_DFL) return 2;
      return context.life_fd() > STDERR_FILENO ? 0 : 3;
    });
    child.restart_type = RestartType::temporary;
    watched.start({child});
    watched.step_until_told(Kind::exited);
    return watched.first(Kind::exited).status->code().value_or(4);
  }};
  EXPECT_EQ(program.wait(), test::exited(0));
}

TEST(BadInput, of_redirections_to_any_number_takes_no_descriptor_from_a_supervised_child) {
  Watched watched;
  ChildSpec child = worker([](ChildContext& context) {
    if (wait_ready(context.life_fd(), POLLIN, Deadline::now()) != 0) return 1;
    return serve(context);
  });
  for (int target = 0; target < 64; ++target) {
    child.options.redirections.push_back(Redirection::null(target));
  }
  watched.start({child});
  EXPECT_EQ(watched.running(), 1U);
}

// As high as we are allowed: where fs.nr_open is a billion, a loop over all would take minutes.
TEST(BadInput, of_a_limit_of_all_descriptors_slows_nobody_down) {
  Forked program{[] {
    rlimit limit{.rlim_cur = most_descriptors(), .rlim_max = most_descriptors()};
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
      ::getrlimit(RLIMIT_NOFILE, &limit);
      limit.rlim_cur = limit.rlim_max;
      ::setrlimit(RLIMIT_NOFILE, &limit);
    }
    constexpr rlim_t kRoomForTheTable = 1 << 20;
    const auto highest = static_cast<int>(std::min(limit.rlim_cur, kRoomForTheTable) - 1);
    if (::fcntl(STDIN_FILENO, F_DUPFD, highest) != highest) return 1;
    const auto has_it = [](int fd) { return ::fcntl(fd, F_GETFD) >= 0; };
    if (!Pool{2}.apply(has_it, STDIN_FILENO)) return 2;
    Watched watched;
    watched.start({worker([&](ChildContext& context) {
      if (has_it(highest)) return 1;
      return serve(context);
    })});
    if (watched.running() != 1) return 3;
    return run({"true"}).status == ExitStatus::exited(0) ? 0 : 4;
  }};
  EXPECT_EQ(program.wait(), test::exited(0));
}

}  // namespace
}  // namespace procpool::proc
