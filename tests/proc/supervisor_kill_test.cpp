// Supervisors whose children are killed at random, and which are killed themselves.
//
// Each storm lasts PROCPOOL_STORM_SECONDS (1), and as long as it takes to kill often enough.
#include <poll.h>
#include <signal.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/process_id.hpp"
#include "proc/supervisor_tree.hpp"
#include "tests/proc/watched_supervisor.hpp"
#include "tests/support/children.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/held_child.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/single_step.hpp"

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;
using test::Forked;
using test::Gate;

std::chrono::seconds storm_length() {
  const char* seconds = std::getenv("PROCPOOL_STORM_SECONDS");
  return std::chrono::seconds{seconds != nullptr ? std::atoi(seconds) : 1};
}

class SupervisorStorm : public testing::Test {
 protected:
  std::size_t random_below(std::size_t limit) { return random_() % limit; }

  GenerationPolicy any_policy() {
    constexpr std::array kStrategies{Strategy::one_for_one, Strategy::one_for_all,
                                     Strategy::rest_for_one};
    return {.strategy = kStrategies.at(random_below(3)),
            .order = random_below(2) == 0 ? StartOrder::together : StartOrder::one_by_one,
            .intensity = {}};
  }

  // Kills a child of another process, of whose children nobody holds the pids for us.
  void kill_one_of(pid_t parent) {
    const auto children = test::list_children(parent);
    if (children.empty()) return;
    const pid_t victim = children[random_below(children.size())].pid;
    const auto before = ProcessId::of(victim);
    try {
      const UniqueFd pidfd = open_pidfd(victim);
      if (before && ProcessId::of(victim) == before) send_signal(pidfd.fd(), SIGKILL);
    } catch (const Error& error) {
      EXPECT_EQ(error.code().value(), ESRCH);
    }
  }

  std::mt19937 random_{20230917};
};

// That every process that was started has ended once, and none that was not.
void expect_one_end_for_each_start(const std::vector<SupervisorEvent>& events) {
  std::map<pid_t, int> alive;
  for (const SupervisorEvent& event : events) {
    if (event.pid == 0) continue;
    int& count = alive[event.pid];
    if (event.kind == Kind::started) ++count;
    if (event.status) --count;
    EXPECT_EQ(count, event.status ? 0 : 1) << event.text();
  }
  for (const auto& [pid, count] : alive) EXPECT_EQ(count, 0) << "process " << pid;
}

TEST_F(SupervisorStorm,
       of_kills_and_reloads_ends_each_process_once_and_none_is_missing_afterwards) {
  constexpr std::size_t kWorkers = 4;
  Watched watched;
  Supervisor& supervisor = watched.supervisor;
  watched.start(workers(kWorkers), terminate, any_policy());
  std::ptrdiff_t kills = 0;
  for (const Deadline end = Deadline::in(storm_length()); kills < 50 || !end.expired();) {
    const std::size_t choice = random_below(20);
    if (choice == 0) {
      supervisor.start_generation(workers(kWorkers), terminate, any_policy());
    } else if (choice == 1 && supervisor.children().size() < 3 * kWorkers) {
      supervisor.add(worker());
    } else if (choice == 2 && supervisor.children().size() > 1) {
      supervisor.retire_one(terminate);
    } else {
      const auto pids = watched.pids();
      const pid_t victim = pids.empty() ? 0 : pids[random_below(pids.size())];
      if (victim > 0) kills += ::kill(victim, SIGKILL) == 0 ? 1 : 0;  // unreaped: it is its own
    }
    wait_ready(supervisor.fd(), POLLIN, Deadline::in(std::chrono::milliseconds{random_below(3)}));
    supervisor.step();
  }
  EXPECT_EQ(watched.count(Kind::gave_up) + watched.count(Kind::generation_gave_up), 0);

  watched.start(workers(kWorkers), terminate);
  watched.step_until([&] { return supervisor.children().size() == kWorkers; });
  EXPECT_EQ(watched.running(), kWorkers);
  EXPECT_EQ(test::list_children().size(), kWorkers);

  supervisor.stop_all(terminate);
  watched.step_until([&] { return supervisor.empty(); });
  supervisor.step();
  EXPECT_FALSE(test::has_children());
  expect_one_end_for_each_start(watched.events);
  RecordProperty("kills", static_cast<int>(kills));
}

// Ends when its supervisor's process is dead.
int serve_while_supervised(ChildContext& context) {
  context.ready();
  wait_ready(context.life_fd(), POLLIN, Deadline::never());
  return 0;
}

// Of both kinds, and a supervisor with children of its own.
std::vector<ChildSpec> a_family() {
  ChildSpec bound = worker();
  bound.options.die_with_parent = true;
  ChildSpec middle = supervised_supervisor("middle", workers(2));
  middle.restart = kEager;
  return {bound, worker(serve_while_supervised), bound, worker(serve_while_supervised), middle};
}

TEST_F(SupervisorStorm, in_which_the_supervisor_is_killed_leaves_nothing) {
  int rounds = 0;
  for (const Deadline end = Deadline::in(storm_length()); rounds < 5 || !end.expired(); ++rounds) {
    const GenerationPolicy policy = any_policy();
    Gate begun;
    Forked master{[&] {
      Watched watched;
      watched.supervisor.start_generation(a_family(), terminate, policy);
      begun.open();
      watched.step_until([] { return false; });
    }};
    begun.wait();
    const Deadline blow = Deadline::in(std::chrono::milliseconds{random_below(30)});
    while (!blow.expired()) {
      kill_one_of(master.pid());
      for (const auto& child : test::list_children(master.pid())) kill_one_of(child.pid);
    }
    master.kill(SIGKILL);
    EXPECT_EQ(master.wait(), test::killed_by(SIGKILL));
    ASSERT_TRUE(test::await_no_children()) << "round " << rounds;
  }
  RecordProperty("rounds", rounds);
}

TEST_F(SupervisorStorm, in_which_the_supervisor_is_killed_at_any_system_call_leaves_nothing) {
  const auto operation = [] {
    Watched watched;
    ChildSpec bound = worker();
    bound.options.die_with_parent = true;
    watched.start({bound, worker(serve_while_supervised)}, terminate,
                  {.strategy = Strategy::one_for_all});
    ::kill(watched.pids().front(), SIGKILL);
    watched.step_until_told(Kind::ready, 4);
    return 0;
  };
  const std::size_t stride = test::stride_unless_torture(test::kSanitized ? 9 : 3);
  std::size_t kills = 0;
  for (std::size_t nth = 0;; nth += stride) {
    const test::Held held =
        test::hold_at_system_call(nth, operation, [](pid_t pid) { ::kill(pid, SIGKILL); });
    ASSERT_TRUE(test::await_no_children()) << "killed at system call " << nth;
    if (!held.held) break;
    EXPECT_EQ(held.ending, test::killed_by(SIGKILL));
    ++kills;
  }
  EXPECT_GT(kills, 10U);
  RecordProperty("kills", static_cast<int>(kills));
}

}  // namespace
}  // namespace procpool::proc
