#include "proc/supervisor_status.hpp"

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "tests/proc/watched_supervisor.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/shared_name.hpp"

namespace procpool::proc {
namespace {

using test::Forked;
using test::Gate;
using test::shared_name;

TEST(SupervisorStatus, can_be_read_by_another_process) {
  Watched watched;
  const std::string name = shared_name("status");
  watched.supervisor.show_status(name);
  watched.start(workers(1));
  ChildSpec slow = worker(never_get_ready);
  slow.name = "slow";
  watched.supervisor.add(slow);
  Forked reader{[&, master = ::getpid(), pids = watched.pids()] {
    const auto status = read_supervisor_status(name);
    if (!status || status->supervisor != master || status->total != 2) return 2;
    if (status->generation != 1 || status->gave_up || status->children.size() != 2) return 3;
    const ShownChild& first = status->children[0];
    if (first.name != "worker" || first.pid != pids[0] || first.slot != 0) return 4;
    if (first.state != ChildState::running || first.generation != 1) return 5;
    const ShownChild& second = status->children[1];
    if (second.name != "slow" || second.pid != pids[1]) return 6;
    if (second.state != ChildState::starting || second.since == 0) return 7;
    return 0;
  }};
  EXPECT_EQ(reader.wait(), test::exited(0));
}

TEST(SupervisorStatus, is_none_where_no_supervisor_shows_itself) {
  const std::string name = shared_name("status");
  EXPECT_FALSE(read_supervisor_status(name));
  {
    Watched watched;
    watched.supervisor.show_status(name);
    EXPECT_TRUE(read_supervisor_status(name));
  }
  EXPECT_FALSE(read_supervisor_status(name));
}

TEST(SupervisorStatus, follows_restarts_and_stops) {
  Watched watched;
  const std::string name = shared_name("status");
  watched.supervisor.show_status(name);
  watched.start({worker(), worker(serve_stubbornly)});
  ::kill(watched.pids().front(), SIGKILL);
  watched.step_until_told(Kind::ready, 3);
  auto status = read_supervisor_status(name);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->children.front().restarts, 1);
  EXPECT_EQ(status->children.front().pid, watched.pids().front());
  watched.supervisor.stop_all(terminate);
  status = read_supervisor_status(name);
  EXPECT_EQ(status->children.front().state, ChildState::stopping);
  watched.supervisor.stop_all(kill_now);
  watched.step_until([&] { return watched.supervisor.empty(); });
  status = read_supervisor_status(name);
  ASSERT_TRUE(status);
  EXPECT_TRUE(status->children.empty());
  EXPECT_EQ(status->total, 0U);
}

TEST(SupervisorStatus, tells_that_it_gave_up) {
  Watched watched;
  const std::string name = shared_name("status");
  watched.supervisor.show_status(name);
  watched.start(workers(1), terminate, {.intensity = GenerationPolicy::Intensity{.at_most = 0}});
  ::kill(watched.pids().front(), SIGKILL);
  watched.step_until_told(Kind::generation_gave_up);
  EXPECT_TRUE(read_supervisor_status(name)->gave_up);
}

TEST(SupervisorStatus, has_one_supervisor_to_a_name) {
  Watched first;
  const std::string name = shared_name("status");
  first.supervisor.show_status(name);
  Watched second;
  EXPECT_THROW(second.supervisor.show_status(name), Error);
}

TEST(SupervisorStatus, is_taken_over_from_a_supervisor_that_was_killed) {
  const std::string name = shared_name("status");
  Gate shown;
  Forked master{[&] {
    Watched watched;
    watched.supervisor.show_status(name);
    shown.open();
    for (;;) ::pause();
  }};
  shown.wait();
  EXPECT_EQ(read_supervisor_status(name)->supervisor, master.pid());
  master.kill(SIGKILL);
  master.wait();
  EXPECT_FALSE(read_supervisor_status(name));
  Watched heir;
  heir.supervisor.show_status(name);
  EXPECT_EQ(read_supervisor_status(name)->supervisor, ::getpid());
}

TEST(SupervisorStatus, is_cut_where_children_are_too_many_or_names_too_long) {
  const std::string name = shared_name("status");
  SupervisorStatusWriter writer{name};
  SupervisorStatus many{.total = 5000, .children = {}};
  many.children.resize(SupervisorStatus::kMostShown);
  many.children.front().name.assign(100, 'x');
  writer.show(many);
  const auto status = read_supervisor_status(name);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->total, 5000U);
  EXPECT_EQ(status->children.size(), SupervisorStatus::kMostShown);
  EXPECT_EQ(status->children.front().name, std::string(63, 'x'));
}

}  // namespace
}  // namespace procpool::proc
