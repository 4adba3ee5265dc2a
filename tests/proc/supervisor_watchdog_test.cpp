#include <thread>

#include <gtest/gtest.h>

#include "proc/signal_source.hpp"
#include "proc/supervisor.hpp"
#include "tests/proc/watched_supervisor.hpp"

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;

// Says that it is alive, far more often than it has to.
int beat(ChildContext& context) {
  context.ready();
  for (;;) {
    context.alive();
    std::this_thread::sleep_for(*context.alive_within() / 50);
  }
}

ChildSpec watched_worker(std::chrono::milliseconds alive_within,
                         std::function<int(ChildContext&)> body = serve) {
  ChildSpec child = worker(std::move(body));
  child.alive_within = alive_within;
  return child;
}

TEST(SupervisorWatchdog, ends_and_replaces_a_child_that_shows_no_sign_of_life) {
  Watched watched;
  watched.start({watched_worker(30ms), worker()});
  const pid_t silent = watched.pids().front();
  watched.step_until_told(Kind::ready, 3);
  EXPECT_EQ(watched.first(Kind::unresponsive).pid, silent);
  EXPECT_EQ(watched.first(Kind::unresponsive).reason, "no sign of life within 30 ms");
  EXPECT_EQ(watched.first(Kind::exited).status, ExitStatus::signaled(SIGTERM));
  EXPECT_EQ(watched.first(Kind::exited).reason, "no sign of life within 30 ms");
  EXPECT_EQ(watched.count(Kind::ended), 0);
  EXPECT_NE(watched.pids().front(), silent);
}

TEST(SupervisorWatchdog, leaves_alone_who_gives_signs) {
  Watched watched;
  watched.start({watched_worker(2s, beat)});
  const Deadline enough = Deadline::in(5s);
  while (wait_ready(watched.supervisor.fd(), POLLIN, enough) != 0) watched.supervisor.step();
  EXPECT_EQ(watched.count(Kind::unresponsive), 0);
  EXPECT_EQ(watched.running(), 1U);
}

TEST(SupervisorWatchdog, notices_a_child_that_is_stopped) {
  Watched watched;
  watched.start({watched_worker(300ms, beat)});
  ::kill(watched.pids().front(), SIGSTOP);
  watched.step_until_told(Kind::exited);
  EXPECT_EQ(watched.count(Kind::unresponsive), 1);
  EXPECT_EQ(watched.first(Kind::exited).status, ExitStatus::signaled(SIGTERM))
      << "it was continued to take it";
}

TEST(SupervisorWatchdog, ends_a_child_as_its_escalation_says) {
  Watched watched;
  ChildSpec child = watched_worker(30ms, serve_stubbornly);
  child.stop = {{SIGTERM, 5ms}, {SIGKILL, kForever}};
  watched.start({child});
  watched.step_until_told(Kind::exited);
  EXPECT_EQ(watched.first(Kind::exited).status, ExitStatus::signaled(SIGKILL));
  EXPECT_EQ(watched.first(Kind::exited).text(),
            "worker (process " + std::to_string(watched.first(Kind::exited).pid) +
                ", slot 0): killed by SIGKILL (no sign of life within 30 ms)");
}

TEST(SupervisorWatchdog, counts_a_silent_transient_child_as_failed_however_it_ends) {
  Watched watched;
  ChildSpec child = watched_worker(30ms, [](ChildContext& context) {
    SignalSource signals{{SIGTERM}};
    context.ready();
    wait_ready(signals.fd(), POLLIN, Deadline::never());
    return signals.try_next()->number == SIGTERM ? 0 : 1;
  });
  child.restart_type = RestartType::transient;
  watched.start({child});
  watched.step_until_told(Kind::ready, 2);
  EXPECT_EQ(watched.first(Kind::exited).status, ExitStatus::exited(0));
}

TEST(SupervisorWatchdog, is_part_of_the_strategy) {
  Watched watched;
  watched.start({worker(), watched_worker(100ms)}, terminate, {.strategy = Strategy::one_for_all});
  const auto before = watched.pids();
  watched.step_until_told(Kind::ready, 4);
  EXPECT_NE(watched.pids()[0], before[0]);
}

TEST(SupervisorWatchdog, does_not_restart_a_silent_child_that_is_told_to_go_meanwhile) {
  Watched watched;
  ChildSpec child = watched_worker(30ms, serve_stubbornly);
  child.stop = terminate;
  watched.start({child});
  watched.step_until_told(Kind::unresponsive);
  watched.supervisor.stop_all(kill_now);
  watched.step_until([&] { return watched.supervisor.empty(); });
  watched.supervisor.step();
  EXPECT_EQ(watched.count(Kind::started), 1);
}

TEST(SupervisorWatchdog, grants_another_interval_when_the_supervisor_itself_did_not_run) {
  Watched watched;
  watched.start({watched_worker(300ms)});
  std::this_thread::sleep_for(700ms);
  watched.supervisor.step();
  EXPECT_EQ(watched.count(Kind::unresponsive), 0);
  watched.step_until_told(Kind::unresponsive);
}

}  // namespace
}  // namespace procpool::proc
