#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "ipc/pipe.hpp"
#include "proc/supervisor.hpp"
#include "tests/proc/watched_supervisor.hpp"

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;

// Ends with this code as soon as it is ready.
ChildSpec ending_with(int code, RestartType type) {
  ChildSpec child = worker([code](ChildContext& context) {
    context.ready();
    return code;
  });
  child.name = "ending";
  child.restart_type = type;
  return child;
}

TEST(SupervisorRestartType, starts_a_permanent_child_again_after_any_end) {
  Watched watched;
  watched.start({ending_with(0, RestartType::permanent), worker()});
  watched.step_until_told(Kind::exited, 3);
  EXPECT_EQ(watched.count(Kind::not_restarted), 0);
}

TEST(SupervisorRestartType, starts_a_transient_child_again_only_after_an_abnormal_end) {
  Watched watched;
  watched.start({ending_with(0, RestartType::transient), ending_with(1, RestartType::transient)});
  watched.step_until_told(Kind::not_restarted);
  watched.step_until_told(Kind::exited, 4);
  EXPECT_EQ(watched.count(Kind::not_restarted), 1);
  ASSERT_EQ(watched.supervisor.children().size(), 1U);
  EXPECT_GE(watched.supervisor.children().front().restarts, 2);
}

TEST(SupervisorRestartType, starts_a_transient_child_again_that_was_killed) {
  Watched watched;
  ChildSpec child = worker();
  child.restart_type = RestartType::transient;
  watched.start({child});
  ::kill(watched.pids().front(), SIGTERM);
  watched.step_until_told(Kind::ready, 2);
  EXPECT_EQ(watched.running(), 1U);
}

TEST(SupervisorRestartType, starts_a_temporary_child_never_again) {
  Watched watched;
  watched.start({worker(), ending_with(1, RestartType::temporary)});
  watched.step_until_told(Kind::not_restarted);
  EXPECT_EQ(watched.first(Kind::not_restarted).name, "ending");
  EXPECT_EQ(watched.first(Kind::exited).status, ExitStatus::exited(1));
  EXPECT_EQ(watched.supervisor.children().size(), 1U);
  EXPECT_EQ(watched.count(Kind::backing_off), 0);
}

TEST(SupervisorRestartType, forgets_a_temporary_child_that_does_not_get_ready) {
  Watched watched;
  watched.start(workers(1));
  ChildSpec child = worker([](ChildContext&) { return 0; });
  child.restart_type = RestartType::temporary;
  watched.supervisor.add(child);
  watched.step_until_told(Kind::not_restarted);
  EXPECT_EQ(watched.count(Kind::start_failed), 1);
  EXPECT_EQ(watched.running(), 1U);
}

TEST(SupervisorRestartType, completes_a_generation_whose_temporary_child_is_done_already) {
  Watched watched;
  auto gate = ipc::make_pipe();
  ChildSpec late = worker([&](ChildContext& context) {
    wait_ready(gate.reader.fd(), POLLIN, Deadline::never());
    return serve(context);
  });
  late.options.keep_only = {{gate.reader.fd()}};
  watched.supervisor.start_generation({ending_with(0, RestartType::temporary), late}, terminate);
  watched.step_until_told(Kind::not_restarted);
  EXPECT_TRUE(watched.supervisor.starting());
  gate.writer.close();
  watched.step_until_told(Kind::generation_ready);
  EXPECT_EQ(watched.running(), 1U);
}

TEST(SupervisorRestartType, is_gone_when_its_only_child_is_done) {
  Watched watched;
  watched.start({ending_with(0, RestartType::transient)});
  watched.step_until_told(Kind::generation_gone);
  EXPECT_TRUE(watched.supervisor.empty());
}

}  // namespace
}  // namespace procpool::proc
