#include "proc/supervisor.hpp"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ipc/base/io.hpp"
#include "proc/signal_wait.hpp"
#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

using namespace std::chrono_literals;
using Kind = proc::SupervisorEvent::Kind;
using Clock = std::chrono::steady_clock;

constexpr auto kDelay = 50ms;

proc::ChildSpec child_that_ends_at_sigterm(std::string name) {
  return {.name = std::move(name),
          .body =
              [](proc::ChildContext& context) {
                context.ready();
                proc::wait_for_signal({SIGTERM});
                return 0;
              },
          .options = {.die_with_parent = true, .blocked_signals = {SIGTERM}},
          .restart = {.first_delay = kDelay, .stable_after = 1h}};
}

proc::ChildSpec child_that_ignores_sigterm(std::string name) {
  return {.name = std::move(name),
          .body =
              [](proc::ChildContext& context) {
                context.ready();
                for (;;) ::pause();
                return 0;
              },
          .options = {.die_with_parent = true, .ignored_signals = {SIGTERM}},
          .stop = {{SIGTERM, 20ms}, {SIGKILL, proc::kForever}}};
}

class Director {
 public:
  explicit Director(Stage& stage) : stage_{stage} {}

  void show() {
    show_start();
    show_back_off();
    show_strategy();
    show_stop();
  }

 private:
  void show_start() {
    supervisor_.start_generation(
        {child_that_ignores_sigterm("database"), child_that_ends_at_sigterm("cache"),
         child_that_ends_at_sigterm("web")},
        {{SIGKILL, proc::kForever}},
        {.strategy = proc::Strategy::rest_for_one, .order = proc::StartOrder::one_by_one});
    await(Kind::generation_ready);
    stage_.prove("they start in order", "database, cache, web", who(Kind::started, events_));
    stage_.prove("each when those before are ready; before web", "database, cache",
                 who(Kind::ready, before(Kind::started, "web")));
    for (const auto& [name, pid] : pids_) {
      stage_.prove(demo::text("parent of ", name), ::getpid(), stat_of(pid)->ppid);
    }
  }

  void show_back_off() {
    kill("web");
    await(Kind::ready);
    stage_.prove("the first time, its restart comes", "at once", delay());
    kill("web");
    const auto start = Clock::now();
    await(Kind::ready);
    stage_.prove("the second time, it comes after", demo::text(kDelay.count(), " ms"), delay());
    stage_.prove("so much has passed", true, Clock::now() - start >= kDelay);
  }

  void show_strategy() {
    const pid_t database = pids_.at("database");
    const std::uint64_t start_time = stat_of(database)->start_time;
    const auto others = std::pair{pids_.at("cache"), pids_.at("web")};
    kill("cache");
    await(Kind::ready, 2);
    stage_.prove("rest_for_one: who is stopped with cache", "web", who(Kind::retiring, events_));
    stage_.prove("who starts then", "cache, web", who(Kind::started, events_));
    stage_.prove("both are other processes now", true,
                 pids_.at("cache") != others.first && pids_.at("web") != others.second);
    stage_.prove("database, before it, is the same: its start time", start_time,
                 stat_of(database)->start_time);
  }

  void show_stop() {
    events_.clear();
    supervisor_.stop_all();
    await(Kind::generation_gone);
    stage_.prove("they stop in reverse order", "web, cache, database", who(Kind::ended, events_));
    stage_.prove("each when those behind are gone; before database", "web, cache",
                 who(Kind::ended, before(Kind::retiring, "database")));
    stage_.prove("web was told to, and did", "exited with code 0", endings_.at("web"));
    stage_.prove("database ignores SIGTERM: the next step of its escalation", "killed by SIGKILL",
                 endings_.at("database"));
  }

  void kill(const std::string& name) {
    events_.clear();
    const pid_t child = pids_.at(name);
    stage_.signal(child, SIGKILL);
    stage_.await_end(child);
  }

  // Until so many have come since events_ was empty.
  void await(Kind kind, std::ptrdiff_t times = 1) {
    while (std::ranges::count(events_, kind, &proc::SupervisorEvent::kind) < times) {
      wait_ready(supervisor_.fd(), POLLIN, Deadline::never());
      supervisor_.step();
    }
  }

  void take(const proc::SupervisorEvent& event) {
    events_.push_back(event);
    switch (event.kind) {
      case Kind::started:
        pids_[event.name] = event.pid;
        return stage_.forked(event.pid, event.name);
      case Kind::retiring:
        return stage_.signaled(event.pid, SIGTERM);
      case Kind::exited:
      case Kind::ended:
        endings_[event.name] = event.status->text();
        return stage_.reaped(event.pid, *event.status);
      default:
        return stage_.say(event.text());
    }
  }

  using Events = std::span<const proc::SupervisorEvent>;

  static std::string who(Kind kind, Events events) {
    std::string names;
    for (const auto& event : events) {
      if (event.kind == kind) names += demo::text(names.empty() ? "" : ", ", event.name);
    }
    return names;
  }

  // What came before this happened to that child.
  Events before(Kind kind, std::string_view name) const {
    const auto event = std::ranges::find_if(events_, [&](const auto& candidate) {
      return candidate.kind == kind && candidate.name == name;
    });
    return {events_.begin(), event};
  }

  std::string delay() const {
    const auto event = std::ranges::find(events_, Kind::backing_off, &proc::SupervisorEvent::kind);
    return event->delay == 0ms ? "at once" : demo::text(event->delay.count(), " ms");
  }

  Stage& stage_;
  std::vector<proc::SupervisorEvent> events_;
  std::map<std::string, pid_t> pids_;           // of the latest process of each
  std::map<std::string, std::string> endings_;  // of the latest process that ended
  proc::Supervisor supervisor_{[this](const auto& event) { take(event); }};
};

void play(Stage& stage) {
  Director{stage}.show();
}

}  // namespace

const Scenario supervisor_scenario{
    .name = "supervisor",
    .summary = "children that are started in order, restarted, and stopped in reverse",
    .lesson =
        "A supervisor is the parent of its children, so it learns of each death at once and with "
        "its reason. It restarts by a rule: the dead one alone, all, or those that were started "
        "behind it because they use it; at once the first time, then after longer and longer "
        "delays. It stops in reverse order, SIGTERM first, and SIGKILL only for who does not end "
        "in its time.",
    .play = play,
};

}  // namespace procpool::proc_demo
