#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "proc/supervisor.hpp"
#include "tests/proc/watched_supervisor.hpp"
#include "tests/support/children.hpp"
#include "tests/support/sanitizers.hpp"

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;

constexpr GenerationPolicy kOneForAll{.strategy = Strategy::one_for_all};
constexpr GenerationPolicy kRestForOne{.strategy = Strategy::rest_for_one};
constexpr GenerationPolicy kOneByOne{.order = StartOrder::one_by_one};

ChildSpec named(const std::string& name, std::function<int(ChildContext&)> body = serve) {
  ChildSpec child = worker(std::move(body));
  child.name = name;
  return child;
}

std::vector<ChildSpec> a_b_c() {
  return {named("a"), named("b"), named("c")};
}

ChildSpec crashing(const std::string& name) {
  return named(name, [](ChildContext& context) {
    context.ready();
    return 1;
  });
}

// "started a", ... of these kinds.
std::vector<std::string> story(const Watched& watched, const std::vector<Kind>& kinds) {
  std::vector<std::string> lines;
  for (const auto& event : watched.events) {
    if (std::find(kinds.begin(), kinds.end(), event.kind) == kinds.end()) continue;
    lines.push_back(std::string{name_of(event.kind)} + " " + event.name);
  }
  return lines;
}

using Story = std::vector<std::string>;

TEST(SupervisorStrategy, one_for_one_replaces_the_dead_child_alone) {
  Watched watched;
  watched.start(a_b_c());
  const auto before = watched.pids();
  ::kill(before[1], SIGKILL);
  watched.step_until_told(Kind::ready, 4);
  EXPECT_EQ(watched.pids()[0], before[0]);
  EXPECT_NE(watched.pids()[1], before[1]);
  EXPECT_EQ(watched.pids()[2], before[2]);
}

TEST(SupervisorStrategy, one_for_all_starts_the_whole_set_again) {
  Watched watched;
  watched.start(a_b_c(), terminate, kOneForAll);
  const auto before = watched.pids();
  ::kill(before[1], SIGKILL);
  watched.step_until_told(Kind::ready, 6);
  const auto after = watched.pids();
  ASSERT_EQ(after.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NE(after[i], before[i]);
  for (const auto& child : watched.supervisor.children()) EXPECT_EQ(child.restarts, 1);
  EXPECT_EQ(watched.count(Kind::exited), 1) << "the others were told to go";
  EXPECT_EQ(watched.count(Kind::ended), 2);
}

TEST(SupervisorStrategy, rest_for_one_starts_those_again_that_came_later) {
  Watched watched;
  watched.start(a_b_c(), terminate, kRestForOne);
  const auto before = watched.pids();
  ::kill(before[1], SIGKILL);
  watched.step_until_told(Kind::ready, 5);
  const auto after = watched.pids();
  EXPECT_EQ(after[0], before[0]);
  EXPECT_NE(after[1], before[1]);
  EXPECT_NE(after[2], before[2]);
}

TEST(SupervisorStrategy, nobody_starts_before_all_are_gone) {
  Watched watched;
  watched.start(a_b_c(), terminate, kOneForAll);
  const auto start = static_cast<std::ptrdiff_t>(watched.events.size());
  ::kill(watched.pids()[0], SIGKILL);
  watched.step_until_told(Kind::ready, 6);
  const auto first_start =
      std::find_if(watched.events.begin() + start, watched.events.end(),
                   [](const auto& event) { return event.kind == Kind::started; });
  EXPECT_EQ(std::count_if(watched.events.begin() + start, first_start,
                          [](const auto& event) {
                            return event.kind == Kind::ended || event.kind == Kind::exited;
                          }),
            3);
}

TEST(SupervisorStrategy, a_temporary_child_goes_with_the_others_and_does_not_come_back) {
  Watched watched;
  auto children = a_b_c();
  children[2].restart_type = RestartType::temporary;
  watched.start(children, terminate, kOneForAll);
  ::kill(watched.pids()[0], SIGKILL);
  watched.step_until_told(Kind::ready, 5);
  ASSERT_EQ(watched.supervisor.children().size(), 2U);
  EXPECT_EQ(watched.supervisor.children()[1].name, "b");
}

TEST(SupervisorStrategy, nobody_starts_before_a_temporary_child_is_gone_too) {
  Watched watched;
  ChildSpec slow = named("slow", serve_stubbornly);
  slow.restart_type = RestartType::temporary;
  slow.stop = {{SIGTERM, 100ms}, {SIGKILL, kForever}};
  watched.start({named("a"), slow}, terminate, kOneForAll);
  ::kill(watched.pids()[0], SIGKILL);
  watched.step_until_told(Kind::ready, 3);
  EXPECT_EQ(story(watched, {Kind::started, Kind::ended}),
            (Story{"started a", "started slow", "ended slow", "started a"}));
}

TEST(SupervisorStrategy, a_temporary_child_that_dies_takes_nobody_along) {
  Watched watched;
  auto children = a_b_c();
  children[0].restart_type = RestartType::temporary;
  watched.start(children, terminate, kOneForAll);
  const auto before = watched.pids();
  ::kill(before[0], SIGKILL);
  watched.step_until_told(Kind::not_restarted);
  EXPECT_EQ(watched.pids(), (std::vector{before[1], before[2]}));
  EXPECT_EQ(watched.running(), 2U);
}

TEST(SupervisorStrategy, what_takes_no_signal_is_killed_by_its_own_escalation) {
  Watched watched;
  ChildSpec stubborn = named("stubborn", serve_stubbornly);
  stubborn.stop = {{SIGTERM, 5ms}, {SIGKILL, kForever}};
  watched.start({named("a"), stubborn}, terminate, kOneForAll);
  ::kill(watched.pids()[0], SIGKILL);
  watched.step_until_told(Kind::ready, 4);
  EXPECT_EQ(watched.first(Kind::ended).status, ExitStatus::signaled(SIGKILL));
}

TEST(SupervisorStrategy, stopping_all_ends_a_restart_that_is_under_way) {
  Watched watched;
  ChildSpec stubborn = named("stubborn", serve_stubbornly);
  stubborn.stop = terminate;
  watched.start({named("a"), stubborn}, terminate, kOneForAll);
  ::kill(watched.pids()[0], SIGKILL);
  watched.step_until_told(Kind::retiring);
  watched.supervisor.stop_all(kill_now);
  watched.step_until([&] { return watched.supervisor.empty(); });
  watched.supervisor.step();
  EXPECT_EQ(watched.count(Kind::started), 2);
}

TEST(SupervisorStrategy, a_set_is_whole_again_after_a_storm_of_kills) {
  for (const auto& strategy : {kOneForAll, kRestForOne}) {
    Watched watched;
    watched.start(workers(4), terminate, strategy);
    std::mt19937 random{5};
    constexpr int kKills = test::kSanitized ? 20 : 80;
    for (int kill = 0; kill < kKills; ++kill) {
      const pid_t victim = watched.pids()[random() % 4];
      if (victim > 0) ::kill(victim, SIGKILL);  // unreaped: its pid is its own
      wait_ready(watched.supervisor.fd(), POLLIN,
                 Deadline::in(std::chrono::milliseconds{random() % 3}));
      watched.supervisor.step();
      ASSERT_EQ(watched.supervisor.children().size(), 4U);
    }
    watched.step_until([&] { return watched.running() == 4; });
    EXPECT_EQ(test::list_children().size(), 4U);
  }
}

// Order.

TEST(SupervisorOrder, starts_each_child_when_the_one_before_is_ready) {
  Watched watched;
  watched.start(a_b_c(), terminate, kOneByOne);
  EXPECT_EQ(story(watched, {Kind::started, Kind::ready}),
            (Story{"started a", "ready a", "started b", "ready b", "started c", "ready c"}));
}

TEST(SupervisorOrder, stops_in_reverse_each_when_the_one_after_it_is_gone) {
  Watched watched;
  watched.start(a_b_c(), terminate, kOneByOne);
  watched.supervisor.retire_all(terminate);
  watched.step_until([&] { return watched.supervisor.empty(); });
  watched.supervisor.step();
  EXPECT_EQ(story(watched, {Kind::retiring, Kind::ended}),
            (Story{"retiring c", "ended c", "retiring b", "ended b", "retiring a", "ended a"}));
}

TEST(SupervisorOrder, starts_none_after_one_that_fails) {
  Watched watched;
  watched.supervisor.start_generation(
      {named("a"), named("b", [](ChildContext&) { return 1; }), named("c")}, terminate, kOneByOne);
  watched.step_until_told(Kind::generation_gone);
  EXPECT_EQ(story(watched, {Kind::started, Kind::ended}),
            (Story{"started a", "started b", "ended a"}));
  EXPECT_EQ(watched.count(Kind::generation_failed), 1);
}

TEST(SupervisorOrder, keeps_the_order_when_the_set_is_started_again) {
  Watched watched;
  watched.start(a_b_c(), terminate,
                {.strategy = Strategy::rest_for_one, .order = StartOrder::one_by_one});
  watched.events.clear();
  ::kill(watched.pids()[0], SIGKILL);
  watched.step_until_told(Kind::ready, 3);
  EXPECT_EQ(story(watched, {Kind::exited, Kind::ended, Kind::started, Kind::ready}),
            (Story{"exited a", "ended c", "ended b", "started a", "ready a", "started b", "ready b",
                   "started c", "ready c"}));
}

TEST(SupervisorOrder, a_child_that_dies_while_it_waits_to_be_stopped_is_not_restarted) {
  Watched watched;
  watched.start({named("a"), named("b", serve_stubbornly)}, terminate, kOneByOne);
  watched.supervisor.retire_all(terminate);
  EXPECT_EQ(watched.supervisor.children()[0].state, ChildState::stop_pending);
  ::kill(watched.pids()[0], SIGKILL);
  watched.step_until_told(Kind::ended);
  EXPECT_EQ(watched.supervisor.children().size(), 1U);
  watched.supervisor.stop_all(kill_now);
  watched.step_until([&] { return watched.supervisor.empty(); });
  watched.supervisor.step();
  EXPECT_EQ(watched.count(Kind::started), 2);
}

// Intensity.

TEST(SupervisorIntensity, gives_up_after_too_many_restarts_and_ends_all) {
  Watched watched;
  watched.start({named("a"), crashing("b")}, terminate,
                {.intensity = GenerationPolicy::Intensity{.at_most = 3, .within = 1h}});
  watched.step_until_told(Kind::generation_gone);
  EXPECT_EQ(watched.count(Kind::exited), 4) << "the first start and three more";
  EXPECT_EQ(watched.first(Kind::generation_gave_up).reason, "b ended: too many restarts");
  EXPECT_EQ(watched.first(Kind::generation_gave_up).text(),
            "generation 1: gave up: b ended: too many restarts");
  EXPECT_TRUE(watched.supervisor.gave_up());
  EXPECT_TRUE(watched.supervisor.empty());
  EXPECT_FALSE(test::has_children());
}

TEST(SupervisorIntensity, counts_the_restarts_of_all_children) {
  Watched watched;
  watched.start(workers(3), terminate,
                {.intensity = GenerationPolicy::Intensity{.at_most = 2, .within = 1h}});
  for (const pid_t pid : watched.pids()) ::kill(pid, SIGKILL);
  watched.step_until_told(Kind::generation_gave_up);
  EXPECT_TRUE(watched.supervisor.gave_up());
}

TEST(SupervisorIntensity, forgets_restarts_that_are_long_past) {
  Watched watched;
  watched.start({crashing("a")}, terminate,
                {.intensity = GenerationPolicy::Intensity{.at_most = 1, .within = 0ms}});
  watched.step_until_told(Kind::exited, 5);
  EXPECT_FALSE(watched.supervisor.gave_up());
}

TEST(SupervisorIntensity, starts_anew_with_the_next_generation) {
  Watched watched;
  watched.start({crashing("a")}, terminate,
                {.intensity = GenerationPolicy::Intensity{.at_most = 0}});
  watched.step_until_told(Kind::generation_gone);
  EXPECT_TRUE(watched.supervisor.gave_up());
  watched.start(workers(2));
  EXPECT_FALSE(watched.supervisor.gave_up());
  EXPECT_EQ(watched.running(), 2U);
}

TEST(SupervisorIntensity, a_child_that_its_own_policy_gives_up_takes_a_bound_set_with_it) {
  Watched watched;
  ChildSpec failing = crashing("b");
  failing.restart.intensity = {.at_most = 0, .within = 1h};
  watched.start({named("a"), failing}, terminate, kOneForAll);
  watched.step_until_told(Kind::generation_gone);
  EXPECT_EQ(watched.first(Kind::generation_gave_up).reason, "b fails too often");
  EXPECT_TRUE(watched.supervisor.gave_up());
}

}  // namespace
}  // namespace procpool::proc
