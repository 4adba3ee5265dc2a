#include "proc/supervisor_tree.hpp"

#include <array>

#include <gtest/gtest.h>

#include "ipc/pipe.hpp"
#include "tests/proc/watched_supervisor.hpp"
#include "tests/support/children.hpp"
#include "tests/support/forked.hpp"

namespace procpool::proc {
namespace {

using test::Forked;

// Heeds no SIGTERM and no life_fd(), and holds the descriptor as long as it lives.
ChildSpec stubborn_leaf(int held) {
  ChildSpec leaf = worker(serve_stubbornly);
  leaf.name = "leaf";
  leaf.options.keep_only = {{held}};
  return leaf;
}

TEST(SupervisorTree, takes_its_children_with_it_when_it_is_killed_and_comes_back_with_new_ones) {
  Forked process{[] {
    auto held = ipc::make_pipe();
    Watched watched;
    watched.supervisor.adopt_orphans();
    ChildSpec middle = supervised_supervisor(
        "middle", {stubborn_leaf(held.writer.fd()), stubborn_leaf(held.writer.fd())});
    middle.restart = kEager;
    watched.start({middle});
    const pid_t first = watched.pids().front();
    if (test::list_children(first).size() != 2) return 2;
    ::kill(first, SIGKILL);
    watched.step_until_told(Kind::orphan_ended, 2);
    if (watched.first(Kind::orphan_ended).status != ExitStatus::signaled(SIGKILL)) return 3;
    watched.step_until_told(Kind::ready, 2);
    const pid_t second = watched.pids().front();
    return second != first && test::list_children(second).size() == 2 ? 0 : 4;
  }};
  EXPECT_EQ(process.wait(), test::exited(0));
  EXPECT_TRUE(test::await_no_children());
}

TEST(SupervisorTree, dies_at_every_depth_with_the_one_at_the_top) {
  auto held = ipc::make_pipe();
  auto ready = ipc::make_pipe();
  Forked top{[&] {
    Watched watched;
    watched.start({supervised_supervisor(
        "upper", {supervised_supervisor("lower", {stubborn_leaf(held.writer.fd())})})});
    held.writer.close();
    ready.writer.write_full("x");
    for (;;) ::pause();
  }};
  held.writer.close();
  std::array<std::byte, 1> told;
  ASSERT_EQ(ready.reader.read_full(told), 1U);
  top.kill(SIGKILL);
  top.wait();
  EXPECT_EQ(read_to_end(held.reader.fd(), "pipe"), "") << "nobody holds it any more";
  EXPECT_TRUE(test::await_no_children());
}

TEST(SupervisorTree, ends_its_children_when_it_is_told_to_stop) {
  Watched watched;
  watched.start({supervised_supervisor("middle", workers(3))});
  watched.supervisor.stop_all();
  watched.step_until([&] { return watched.supervisor.empty(); });
  watched.supervisor.step();
  EXPECT_EQ(watched.first(Kind::ended).status, ExitStatus::exited(0));
  EXPECT_FALSE(test::has_children());
}

TEST(SupervisorTree, passes_on_why_a_child_did_not_start) {
  Watched watched;
  ChildSpec failing = worker([](ChildContext& context) {
    context.fail("the disk is gone");
    return 1;
  });
  watched.supervisor.start_generation({supervised_supervisor("middle", {worker(), failing})},
                                      terminate);
  watched.step_until_told(Kind::generation_gone);
  EXPECT_EQ(watched.first(Kind::generation_failed).reason, "middle: worker: the disk is gone");
}

TEST(SupervisorTree, passes_on_that_it_gave_up) {
  Watched watched;
  ChildSpec crashing = worker([](ChildContext& context) {
    context.ready();
    return 1;
  });
  ChildSpec middle = supervised_supervisor(
      "middle", {worker(), crashing}, {.intensity = GenerationPolicy::Intensity{.at_most = 2}});
  middle.restart = kEager;
  watched.start(
      {middle}, terminate,
      {.intensity = GenerationPolicy::Intensity{.at_most = 1, .within = std::chrono::hours{1}}});
  watched.step_until_told(Kind::generation_gone);
  EXPECT_EQ(watched.first(Kind::exited).status, ExitStatus::exited(1));
  EXPECT_EQ(watched.count(Kind::exited), 2);
  EXPECT_TRUE(watched.supervisor.gave_up());
}

TEST(SupervisorTree, is_done_when_nothing_is_left_to_restart) {
  Watched watched;
  ChildSpec job = worker([](ChildContext& context) {
    context.ready();
    return 0;
  });
  job.restart_type = RestartType::transient;
  ChildSpec middle = supervised_supervisor("middle", {job, job});
  middle.restart_type = RestartType::transient;
  watched.start({middle});
  watched.step_until_told(Kind::not_restarted);
  EXPECT_EQ(watched.first(Kind::exited).status, ExitStatus::exited(0));
}

}  // namespace
}  // namespace procpool::proc
