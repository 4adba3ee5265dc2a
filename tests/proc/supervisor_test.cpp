#include "proc/supervisor.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <random>
#include <set>
#include <stdexcept>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/process_id.hpp"
#include "ipc/pipe.hpp"
#include "ipc/shared.hpp"
#include "proc/signal_source.hpp"
#include "tests/proc/watched_supervisor.hpp"
#include "tests/support/children.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;
using test::Forked;
using test::TempDir;
// Generations.

TEST(Supervisor, makes_a_generation_current_when_all_its_children_are_ready) {
  Watched watched;
  EXPECT_TRUE(watched.supervisor.empty());
  const int number = watched.supervisor.start_generation(workers(3), terminate);
  EXPECT_TRUE(watched.supervisor.starting());
  EXPECT_EQ(watched.supervisor.generation(), 0);
  watched.step_until_told(Kind::generation_ready);
  EXPECT_FALSE(watched.supervisor.starting());
  EXPECT_EQ(watched.supervisor.generation(), number);
  EXPECT_EQ(watched.count(Kind::started), 3);
  EXPECT_EQ(watched.count(Kind::ready), 3);
  EXPECT_EQ(watched.running(), 3U);
}

TEST(Supervisor, retires_the_old_generation_only_when_the_new_one_is_ready) {
  Watched watched;
  watched.start(workers(2));
  const std::vector<pid_t> old = watched.pids();
  watched.supervisor.start_generation(workers(2), terminate);
  EXPECT_EQ(watched.count(Kind::retiring), 0);
  watched.step_until_told(Kind::generation_gone);
  const auto& gone = watched.first(Kind::generation_gone);
  EXPECT_EQ(gone.generation, 1);
  EXPECT_EQ(watched.count(Kind::ended), 2);
  EXPECT_EQ(watched.first(Kind::ended).status, ExitStatus::signaled(SIGTERM));
  EXPECT_EQ(watched.running(), 2U);
  for (const pid_t pid : watched.pids()) {
    EXPECT_EQ(std::count(old.begin(), old.end(), pid), 0);
  }
  const auto place = [&](Kind kind, int generation) {
    return std::find_if(watched.events.begin(), watched.events.end(), [&](const auto& event) {
      return event.kind == kind && event.generation == generation;
    });
  };
  EXPECT_LT(place(Kind::generation_ready, 2), place(Kind::retiring, 1));
}

struct BadStart {
  const char* name;
  std::function<int(ChildContext&)> body;
  std::string reason;
  std::chrono::milliseconds ready_within = 1min;

  friend std::ostream& operator<<(std::ostream& out, const BadStart& start) {
    return out << start.name;
  }
};

class SupervisorBadStart : public testing::TestWithParam<BadStart> {};

TEST_P(SupervisorBadStart, leaves_the_current_generation_as_it_was) {
  Watched watched;
  watched.start(workers(2));
  const std::vector<pid_t> before = watched.pids();
  ChildSpec bad = worker(GetParam().body);
  bad.ready_within = GetParam().ready_within;
  watched.supervisor.start_generation({worker(), bad, worker()}, terminate);
  watched.step_until_told(Kind::generation_gone);
  EXPECT_EQ(watched.first(Kind::generation_failed).generation, 2);
  EXPECT_EQ(watched.first(Kind::generation_failed).reason, "worker: " + GetParam().reason);
  EXPECT_EQ(watched.first(Kind::start_failed).reason, GetParam().reason);
  EXPECT_EQ(watched.supervisor.generation(), 1);
  EXPECT_EQ(watched.pids(), before);
  EXPECT_EQ(watched.running(), 2U);
}

INSTANTIATE_TEST_SUITE_P(
    Reasons, SupervisorBadStart,
    testing::Values(
        BadStart{"ends", [](ChildContext&) { return 3; }, "ended before it was ready"},
        BadStart{"is_killed", [](ChildContext&) { return ::raise(SIGKILL); },
                 "ended before it was ready"},
        BadStart{"says_why",
                 [](ChildContext& context) {
                   context.fail("cannot open the log");
                   return 1;
                 },
                 "cannot open the log"},
        BadStart{"throws", [](ChildContext&) -> int { throw std::runtime_error{"no such thing"}; },
                 "no such thing"},
        BadStart{"takes_too_long", never_get_ready, "not ready within 50 ms", 50ms},
        BadStart{"says_why_and_stays",
                 [](ChildContext& context) {
                   context.fail("stuck");
                   return never_get_ready(context);
                 },
                 "not ready within 50 ms: stuck", 50ms}),
    [](const auto& param_info) { return std::string{param_info.param.name}; });

TEST(Supervisor, is_empty_after_a_first_generation_that_failed) {
  Watched watched;
  watched.supervisor.start_generation(
      {worker(never_get_ready), worker([](ChildContext&) { return 1; })}, terminate);
  watched.step_until([&] { return watched.supervisor.empty(); });
  watched.supervisor.step();
  EXPECT_EQ(watched.count(Kind::generation_failed), 1);
  EXPECT_EQ(watched.count(Kind::generation_gone), 1);
  EXPECT_FALSE(test::has_children());
}

TEST(Supervisor, replaces_a_generation_that_is_still_starting) {
  Watched watched;
  watched.start(workers(1));
  watched.supervisor.start_generation({worker(), worker(never_get_ready)}, terminate);
  const int last = watched.start(workers(2));
  watched.step_until_told(Kind::generation_gone, 2);
  EXPECT_EQ(watched.first(Kind::generation_failed).generation, 2);
  EXPECT_EQ(watched.first(Kind::generation_failed).reason, "replaced by generation 3");
  EXPECT_EQ(watched.supervisor.generation(), last);
  EXPECT_EQ(watched.running(), 2U);
}

TEST(Supervisor, kills_what_does_not_heed_its_retirement) {
  Watched watched;
  watched.start({worker(serve_stubbornly)});
  watched.start(workers(1), {{SIGTERM, 5ms}, {SIGKILL, kForever}});
  watched.step_until_told(Kind::generation_gone);
  EXPECT_EQ(watched.first(Kind::ended).status, ExitStatus::signaled(SIGKILL));
}

TEST(Supervisor, lets_many_generations_drain_at_once) {
  Watched watched;
  for (int i = 0; i < 5; ++i) {
    watched.start({worker(serve_stubbornly)}, {{SIGTERM, kForever}});
  }
  EXPECT_EQ(watched.supervisor.children().size(), 5U);
  watched.supervisor.stop_all(kill_now);
  watched.step_until([&] { return watched.supervisor.empty(); });
  watched.supervisor.step();
  EXPECT_EQ(watched.count(Kind::generation_gone), 5);
}

// Replacement.

TEST(Supervisor, replaces_a_child_that_dies) {
  Watched watched;
  watched.start(workers(2));
  const std::vector<pid_t> before = watched.pids();
  ::kill(before[0], SIGKILL);
  watched.step_until_told(Kind::ready, 3);
  const std::vector<pid_t> after = watched.pids();
  EXPECT_NE(after[0], before[0]);
  EXPECT_EQ(after[1], before[1]);
  EXPECT_EQ(watched.first(Kind::exited).status, ExitStatus::signaled(SIGKILL));
  EXPECT_EQ(watched.first(Kind::exited).pid, before[0]);
  EXPECT_EQ(watched.first(Kind::backing_off).delay, 0ms);
  EXPECT_EQ(watched.supervisor.children()[0].restarts, 1);
}

TEST(Supervisor, counts_as_ready_what_a_child_said_before_it_died) {
  Watched watched;
  watched.supervisor.start_generation({worker([](ChildContext& context) {
                                        context.ready();
                                        return 4;
                                      })},
                                      terminate);
  watched.step_until_told(Kind::generation_ready);
  watched.step_until_told(Kind::exited);
  EXPECT_EQ(watched.count(Kind::generation_failed), 0);
  EXPECT_EQ(watched.first(Kind::exited).status, ExitStatus::exited(4));
}

TEST(Supervisor, backs_off_from_a_crash_loop_and_leaves_the_others_alone) {
  Watched watched;
  ChildSpec crashing = worker([](ChildContext& context) {
    context.ready();
    return 1;
  });
  crashing.restart = {
      .first_delay = 1ms, .longest_delay = 8ms, .stable_after = 1h, .intensity = {}};
  watched.start({worker(), crashing});
  watched.step_until_told(Kind::backing_off, 7);
  std::vector<std::chrono::milliseconds> delays;
  for (const auto& event : watched.events) {
    if (event.kind == Kind::backing_off) delays.push_back(event.delay);
  }
  delays.resize(7);
  EXPECT_EQ(delays, (std::vector<std::chrono::milliseconds>{0ms, 1ms, 2ms, 4ms, 8ms, 8ms, 8ms}));
  EXPECT_EQ(watched.supervisor.children()[0].restarts, 0);
  EXPECT_EQ(watched.supervisor.children()[0].state, ChildState::running);
}

TEST(Supervisor, backs_off_when_a_restarted_child_does_not_get_ready) {
  Watched watched;
  const TempDir dir;
  watched.start({worker([&](ChildContext& context) {
    if (std::filesystem::exists(dir.path())) return serve(context);
    context.fail("the disk is gone");
    return 1;
  })});
  std::filesystem::remove(dir.path());
  ::kill(watched.pids().front(), SIGKILL);
  watched.step_until_told(Kind::start_failed, 3);
  EXPECT_EQ(watched.first(Kind::start_failed).reason, "the disk is gone");
  EXPECT_EQ(watched.count(Kind::generation_failed), 0);
  EXPECT_EQ(watched.supervisor.generation(), 1);
}

TEST(Supervisor, gives_up_when_the_policy_says_so_and_goes_on_with_the_others) {
  Watched watched;
  ChildSpec crashing = worker([](ChildContext& context) {
    context.ready();
    return 1;
  });
  crashing.name = "crashing";
  crashing.restart.intensity = {.at_most = 3, .within = 1h};
  watched.start({worker(), crashing});
  watched.step_until_told(Kind::gave_up);
  EXPECT_EQ(watched.first(Kind::gave_up).name, "crashing");
  EXPECT_EQ(watched.count(Kind::exited), 4) << "the first start and three more";
  ASSERT_EQ(watched.supervisor.children().size(), 1U);
  EXPECT_EQ(watched.running(), 1U);
}

TEST(Supervisor, keeps_its_children_while_they_are_killed_at_random) {
  Watched watched;
  constexpr std::size_t kWorkers = 4;
  constexpr std::ptrdiff_t kKills = test::kSanitized ? 40 : 200;
  watched.start(workers(kWorkers));
  std::mt19937 random{7};
  for (std::ptrdiff_t kill = 0; kill < kKills; ++kill) {
    const auto pids = watched.pids();
    const pid_t victim = pids[random() % pids.size()];
    if (victim > 0) ::kill(victim, SIGKILL);  // unreaped: its pid is its own
    wait_ready(watched.supervisor.fd(), POLLIN,
               Deadline::in(std::chrono::milliseconds{random() % 3}));
    watched.supervisor.step();
    ASSERT_EQ(watched.supervisor.children().size(), kWorkers);
  }
  watched.step_until([&] { return watched.running() == kWorkers; });
  EXPECT_EQ(watched.count(Kind::gave_up), 0);
  EXPECT_EQ(test::list_children().size(), kWorkers);
}

// A fork that fails.

// Runs in a process of its own, as nobody: the kernel limits no process of root.
TEST(Supervisor, survives_a_fork_that_fails_and_tries_again) {
  Forked other{[] {
    if (::getuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) return 2;
    Watched watched;
    ChildSpec patient = worker();
    patient.restart = {
        .first_delay = 1ms, .longest_delay = 10ms, .stable_after = 1h, .intensity = {}};
    watched.start({patient});
    rlimit limit{};
    ::getrlimit(RLIMIT_NPROC, &limit);
    const rlimit none{.rlim_cur = 0, .rlim_max = limit.rlim_max};
    ::setrlimit(RLIMIT_NPROC, &none);
    ::kill(watched.pids().front(), SIGKILL);
    watched.step_until_told(Kind::start_failed, 3);
    const std::string reason = watched.first(Kind::start_failed).reason;
    if (reason != "fork \"worker\": Resource temporarily unavailable") return 3;
    ::setrlimit(RLIMIT_NPROC, &limit);
    watched.step_until_told(Kind::ready, 2);
    return watched.running() == 1 ? 0 : 4;
  }};
  EXPECT_EQ(other.wait(), test::exited(0));
}

TEST(Supervisor, fails_a_generation_for_which_there_are_no_slots) {
  Watched watched{3};
  watched.start(workers(2));
  watched.start(workers(2));
  EXPECT_EQ(watched.first(Kind::generation_failed).reason, "worker: fork: all 3 slots are taken");
  watched.step_until_told(Kind::generation_gone);
  EXPECT_EQ(watched.supervisor.generation(), 1);
  EXPECT_EQ(watched.running(), 2U);
}

// Slots.

TEST(Supervisor, gives_the_lowest_free_slots_over_all_generations) {
  Watched watched;
  const auto slots = [&] {
    std::vector<int> taken;
    for (const auto& child : watched.supervisor.children()) taken.push_back(child.slot);
    return taken;
  };
  watched.start(workers(2));
  EXPECT_EQ(slots(), (std::vector{0, 1}));
  watched.start({worker(serve_stubbornly), worker()});
  watched.step_until_told(Kind::generation_gone);
  EXPECT_EQ(slots(), (std::vector{2, 3}));
  watched.start(workers(2));
  watched.step_until_told(Kind::ended, 3);
  EXPECT_EQ(slots(), (std::vector{2, 0, 1})) << "the stubborn one holds its slot while it drains";
  watched.supervisor.add(worker());
  EXPECT_EQ(slots().back(), 3);
}

// One more, one fewer.

TEST(Supervisor, adds_and_retires_the_newest) {
  Watched watched;
  watched.start(workers(1));
  const pid_t first = watched.pids().front();
  watched.supervisor.add(worker());
  watched.step_until_told(Kind::ready, 2);
  watched.supervisor.retire_one(terminate);
  watched.step_until_told(Kind::ended);
  EXPECT_EQ(watched.pids(), std::vector{first});
  EXPECT_EQ(watched.count(Kind::exited), 0) << "it was asked to go";
}

TEST(Supervisor, renews_a_child_whose_successor_is_ready_first) {
  Watched watched;
  watched.start(workers(2));
  const pid_t old = watched.pids().front();
  ASSERT_TRUE(watched.supervisor.renew(old, terminate));
  EXPECT_TRUE(watched.supervisor.renewing());
  EXPECT_FALSE(watched.supervisor.renew(watched.pids().back(), terminate)) << "one at a time";
  watched.step_until_told(Kind::retiring);
  EXPECT_EQ(watched.count(Kind::ready), 3);
  EXPECT_FALSE(watched.supervisor.renewing());
  watched.step_until_told(Kind::ended);
  EXPECT_EQ(watched.running(), 2U);
  const auto pids = watched.pids();
  EXPECT_EQ(std::ranges::count(pids, old), 0);
  EXPECT_EQ(watched.count(Kind::exited), 0) << "it was asked to go";
  EXPECT_FALSE(watched.supervisor.renew(old, terminate)) << "it is gone";
}

TEST(Supervisor, keeps_its_number_when_the_old_child_dies_while_it_is_renewed) {
  Watched watched;
  watched.start(workers(2));
  const pid_t old = watched.pids().front();
  ASSERT_TRUE(watched.supervisor.renew(old, terminate));
  ASSERT_EQ(::kill(old, SIGKILL), 0);
  watched.step_until(
      [&] { return !watched.supervisor.renewing() && watched.supervisor.children().size() == 2; });
  EXPECT_EQ(watched.running(), 2U);
}

TEST(Supervisor, keeps_the_old_child_while_its_successor_does_not_get_ready) {
  Watched watched;
  ipc::Shared<std::atomic<int>> started;
  ChildSpec spec = worker(
      [&](ChildContext& context) { return started->fetch_add(1) == 0 ? serve(context) : 1; });
  watched.start({spec});
  const auto old = watched.pids();
  ASSERT_TRUE(watched.supervisor.renew(old.front(), terminate));
  watched.step_until_told(Kind::start_failed, 3);
  EXPECT_TRUE(watched.supervisor.renewing());
  EXPECT_EQ(watched.count(Kind::retiring), 0);
  watched.supervisor.stop_all(kill_now);
  watched.step_until([&] { return watched.supervisor.empty(); });
  EXPECT_FALSE(watched.supervisor.renewing());
}

TEST(Supervisor, restarts_a_child_without_waiting_for_a_successor) {
  Watched watched;
  watched.start(workers(2));
  const pid_t old = watched.pids().front();
  const pid_t other = watched.pids().back();
  ASSERT_TRUE(watched.supervisor.restart(old, kill_now));
  EXPECT_FALSE(watched.supervisor.restart(old, kill_now)) << "it is being ended";
  watched.step_until_told(Kind::ready, 3);
  const auto pids = watched.pids();
  EXPECT_EQ(std::ranges::count(pids, old), 0);
  EXPECT_EQ(std::ranges::count(pids, other), 1);
  EXPECT_EQ(watched.running(), 2U);
  EXPECT_EQ(watched.count(Kind::exited), 0) << "it was asked to go";
}

TEST(Supervisor, restarts_a_child_that_is_being_renewed_and_keeps_its_number) {
  Watched watched;
  watched.start(workers(2));
  const pid_t old = watched.pids().front();
  ASSERT_TRUE(watched.supervisor.renew(old, kill_now));
  ASSERT_TRUE(watched.supervisor.restart(old, kill_now));
  watched.step_until(
      [&] { return !watched.supervisor.renewing() && watched.supervisor.children().size() == 2; });
  watched.step_until([&] { return watched.running() == 2U; });
  EXPECT_EQ(std::ranges::count(watched.pids(), old), 0);
}

TEST(Supervisor, hurries_one_of_the_generations_that_retire) {
  Watched watched;
  const int first = watched.start({worker(serve_stubbornly)});
  watched.start({worker(serve_stubbornly)});
  watched.start(workers(1));
  ASSERT_EQ(watched.supervisor.children().size(), 3U);
  watched.supervisor.hurry_generation(3, kill_now);  // it does not retire
  watched.supervisor.hurry_generation(first, kill_now);
  watched.step_until_told(Kind::generation_gone);
  EXPECT_EQ(watched.first(Kind::generation_gone).generation, first);
  EXPECT_EQ(watched.supervisor.children().size(), 2U);
  EXPECT_EQ(watched.running(), 1U);
}

TEST(Supervisor, asks_before_each_fork_what_the_process_is_to_start_with) {
  Watched watched;
  std::vector<int> slots;
  ChildSpec spec = worker([](ChildContext& context) {
    context.ready();
    return ::umask(0) == 0123 ? 0 : 1;
  });
  spec.before_fork = [&](ChildOptions& options, int slot) {
    slots.push_back(slot);
    if (slots.size() == 2) throw Error{"open", "something", "there is none"};
    options.umask = 0123;
  };
  spec.restart_type = RestartType::transient;
  watched.start({spec});
  watched.step_until_told(Kind::not_restarted);
  EXPECT_EQ(slots, std::vector{0});
  watched.supervisor.add(spec);
  watched.step_until_told(Kind::start_failed);
  EXPECT_NE(watched.first(Kind::start_failed).reason.find("there is none"), std::string::npos);
}

TEST(Supervisor, takes_a_storm_of_more_and_fewer) {
  Watched watched;
  watched.start(workers(4));
  std::mt19937 random{11};
  std::size_t wanted = 4;
  constexpr int kRounds = test::kSanitized ? 60 : 300;
  for (int round = 0; round < kRounds; ++round) {
    if (wanted < 8 && (wanted == 1 || random() % 2 == 0)) {
      watched.supervisor.add(worker());
      ++wanted;
    } else {
      watched.supervisor.retire_one(terminate);
      --wanted;
    }
    if (random() % 8 == 0) watched.supervisor.start_generation(workers(wanted), terminate);
    if (random() % 2 == 0) watched.supervisor.step();
    std::set<int> slots;
    for (const auto& child : watched.supervisor.children()) {
      if (child.slot >= 0) {
        ASSERT_TRUE(slots.insert(child.slot).second);
      }
    }
  }
  watched.step_until([&] {
    return !watched.supervisor.starting() && watched.running() == wanted &&
           watched.supervisor.children().size() == wanted;
  });
  EXPECT_EQ(test::list_children().size(), wanted);
}

TEST(Supervisor, completes_a_generation_when_the_last_unready_child_is_retired) {
  Watched watched;
  watched.supervisor.start_generation({worker(), worker(never_get_ready)}, terminate);
  watched.step_until_told(Kind::ready);
  EXPECT_TRUE(watched.supervisor.starting());
  watched.supervisor.retire_one(terminate);
  EXPECT_FALSE(watched.supervisor.starting());
  EXPECT_EQ(watched.supervisor.generation(), 1);
}

TEST(Supervisor, retires_all_and_starts_anew) {
  Watched watched;
  watched.start(workers(3));
  watched.supervisor.retire_all(terminate);
  watched.step_until([&] { return watched.supervisor.empty(); });
  watched.start(workers(2));
  EXPECT_EQ(watched.running(), 2U);
  EXPECT_EQ(watched.count(Kind::exited), 0);
}

TEST(Supervisor, gives_up_a_starting_generation_when_all_is_stopped) {
  Watched watched;
  watched.supervisor.start_generation({worker(), worker(never_get_ready)}, terminate);
  watched.supervisor.stop_all(terminate);
  watched.step_until([&] { return watched.supervisor.empty(); });
  watched.supervisor.step();
  EXPECT_EQ(watched.count(Kind::generation_failed), 1);
  EXPECT_EQ(watched.count(Kind::generation_ready), 0);
}

TEST(Supervisor, stops_at_once_what_was_retiring_slowly) {
  Watched watched;
  watched.start({worker(serve_stubbornly)});
  watched.supervisor.retire_all({{SIGTERM, 1h}, {SIGKILL, kForever}});
  watched.supervisor.retire_all(kill_now);
  watched.supervisor.step();
  EXPECT_EQ(watched.running(), 0U);
  EXPECT_FALSE(watched.supervisor.empty()) << "retiring again changes nothing";
  watched.supervisor.stop_all(kill_now);
  watched.step_until([&] { return watched.supervisor.empty(); });
  watched.supervisor.step();
  EXPECT_EQ(watched.count(Kind::retiring), 1);
}

TEST(Supervisor, forgets_a_child_that_is_stopped_while_it_backs_off) {
  Watched watched;
  ChildSpec slow = worker([](ChildContext& context) {
    context.ready();
    return 1;
  });
  slow.restart = {.first_delay = 1h, .longest_delay = 1h, .stable_after = 1h, .intensity = {}};
  watched.start({slow});
  watched.step_until_told(Kind::backing_off, 2);
  EXPECT_EQ(watched.supervisor.children().front().state, ChildState::backing_off);
  EXPECT_EQ(watched.supervisor.children().front().slot, -1);
  watched.supervisor.retire_all(terminate);
  EXPECT_TRUE(watched.supervisor.empty());
  watched.supervisor.step();
  EXPECT_EQ(watched.count(Kind::ended), 1);
}

// In the child.

TEST(Supervisor, tells_the_child_its_place_and_leaves_it_no_other_descriptor) {
  Watched watched;
  auto result = ipc::make_pipe();
  ChildSpec curious = worker([&](ChildContext& context) {
    std::set<int> open;
    for (int fd = 0; fd < 1024; ++fd) {
      if (::fcntl(fd, F_GETFD) >= 0) open.insert(fd);
    }
    const bool as_said = open.size() == 6 && open.count(context.life_fd()) == 1 &&
                         open.count(result.writer.fd()) == 1;
    const std::string text = std::string{as_said ? "fine" : "more"} + " " +
                             std::to_string(context.slot()) + " " +
                             std::to_string(context.generation());
    result.writer.write_full(text);
    result.writer.close();
    return serve(context);
  });
  curious.options.keep_only = {{result.writer.fd()}};
  watched.start({curious});
  result.writer.close();
  EXPECT_EQ(read_to_end(result.reader.fd(), "pipe"), "fine 0 1");
}

TEST(Supervisor, lets_children_know_that_its_process_is_dead) {
  auto result = ipc::make_pipe();
  Forked master{[&] {
    ChildSpec orphan = worker([&](ChildContext& context) {
      context.ready();
      wait_ready(context.life_fd(), POLLIN, Deadline::never());
      result.writer.write_full("orphaned");
      return 0;
    });
    orphan.options.keep_only = {{result.writer.fd()}};
    Watched watched;
    watched.start({orphan, orphan});
    result.writer.write_full("started ");
    result.writer.close();
    for (;;) ::pause();
  }};
  result.writer.close();
  std::array<std::byte, 8> started;
  ASSERT_EQ(result.reader.read_full(started), started.size());
  master.kill(SIGKILL);
  master.wait();
  EXPECT_EQ(read_to_end(result.reader.fd(), "pipe"), "orphanedorphaned");
  EXPECT_TRUE(test::await_no_children());
}

TEST(Supervisor, signals_every_child_that_lives) {
  Watched watched;
  auto result = ipc::make_pipe();
  ChildSpec listening = worker([&](ChildContext& context) {
    const SignalSource signals{{SIGUSR1}};
    context.ready();
    wait_ready(signals.fd(), POLLIN, Deadline::never());
    result.writer.write_full("x");
    return serve(context);
  });
  listening.options.blocked_signals = {SIGUSR1};
  listening.options.keep_only = {{result.writer.fd()}};
  watched.supervisor.start_generation({listening, listening}, terminate);
  watched.supervisor.signal_children(SIGUSR1);  // maybe before they are ready
  watched.step_until_told(Kind::generation_ready);
  std::array<std::byte, 2> answers;
  EXPECT_EQ(result.reader.read_full(answers), 2U);
  EXPECT_EQ(watched.running(), 2U);
}

// In a loop.

TEST(Supervisor, is_not_readable_while_there_is_nothing_to_do) {
  Watched watched;
  watched.start(workers(2));
  EXPECT_EQ(wait_ready(watched.supervisor.fd(), POLLIN, Deadline::in(20ms)), 0);
  watched.supervisor.retire_one(terminate);
  EXPECT_NE(wait_ready(watched.supervisor.fd(), POLLIN, Deadline::now()), 0)
      << "there is an event to tell";
}

TEST(Supervisor, may_be_called_from_its_call_back) {
  std::vector<Kind> kinds;
  Supervisor* self = nullptr;
  Supervisor supervisor{[&](const SupervisorEvent& event) {
    kinds.push_back(event.kind);
    if (event.kind == Kind::generation_ready && event.generation == 1) {
      self->start_generation(workers(1), terminate);
    }
    if (event.kind == Kind::generation_gone && event.generation == 1) self->stop_all(kill_now);
  }};
  self = &supervisor;
  supervisor.start_generation(workers(1), terminate);
  while (!supervisor.empty() || kinds.back() != Kind::generation_gone) {
    wait_ready(supervisor.fd(), POLLIN, Deadline::never());
    supervisor.step();
  }
  EXPECT_EQ(std::count(kinds.begin(), kinds.end(), Kind::generation_ready), 2);
}

TEST(Supervisor, loses_no_event_when_the_call_back_throws) {
  int seen = 0;
  int caught = 0;
  Supervisor supervisor{[&](const SupervisorEvent&) {
    ++seen;
    throw std::runtime_error{"log is full"};
  }};
  supervisor.start_generation(workers(2), terminate);
  while (seen < 5) {  // started and ready, twice, and generation_ready
    wait_ready(supervisor.fd(), POLLIN, Deadline::never());
    try {
      supervisor.step();
    } catch (const std::runtime_error&) {
      ++caught;
    }
  }
  EXPECT_EQ(caught, 5);
}

TEST(Supervisor, kills_and_reaps_its_children_when_it_is_destroyed) {
  {
    Watched watched;
    watched.start({worker(serve_stubbornly), worker()});
  }
  EXPECT_FALSE(test::has_children());
}

TEST(Supervisor, reaps_strangers_and_steals_nothing_of_its_own) {
  Watched watched;
  watched.start({worker(), worker()});
  const pid_t own = watched.pids().front();
  pid_t stranger = 0;
  {
    auto told = ipc::make_pipe();
    Forked parent{[&] {
      const pid_t orphan = ::fork();
      if (orphan == 0) ::_exit(9);
      siginfo_t info;
      ::waitid(P_PID, static_cast<id_t>(orphan), &info, WEXITED | WNOWAIT);
      told.writer.write_full(std::as_bytes(std::span{&orphan, 1}));
    }};
    parent.wait();
    ASSERT_EQ(told.reader.read_full(std::as_writable_bytes(std::span{&stranger, 1})),
              sizeof stranger);
  }
  ::kill(own, SIGKILL);
  siginfo_t info;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(own), &info, WEXITED | WNOWAIT), 0);

  const auto strangers = watched.supervisor.reap_strangers();
  ASSERT_EQ(strangers.size(), 1U);
  EXPECT_EQ(strangers.front().pid, stranger);
  EXPECT_EQ(strangers.front().status, ExitStatus::exited(9));
  watched.step_until_told(Kind::exited);
  EXPECT_EQ(watched.first(Kind::exited).pid, own);
  EXPECT_EQ(watched.first(Kind::exited).status, ExitStatus::signaled(SIGKILL));
  EXPECT_TRUE(watched.supervisor.reap_strangers().empty());
}

TEST(SupervisorEvent, reads_as_a_line_of_a_log) {
  const SupervisorEvent exited{.kind = Kind::exited,
                               .name = "worker",
                               .pid = 12,
                               .slot = 3,
                               .generation = 1,
                               .status = ExitStatus::signaled(SIGSEGV)};
  EXPECT_EQ(exited.text(), "worker (process 12, slot 3): killed by SIGSEGV");
  const SupervisorEvent waiting{
      .kind = Kind::backing_off, .name = "worker", .generation = 1, .delay = 200ms};
  EXPECT_EQ(waiting.text(), "worker: starts again in 200 ms");
  const SupervisorEvent failed{.kind = Kind::generation_failed, .generation = 2, .reason = "no"};
  EXPECT_EQ(failed.text(), "generation 2: failed: no");
}

}  // namespace
}  // namespace procpool::proc
