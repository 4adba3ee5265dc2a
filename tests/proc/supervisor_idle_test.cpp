// A supervisor that has nothing to do costs nothing.
#include <signal.h>

#include <chrono>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "ipc/base/loop.hpp"
#include "tests/proc/watched_supervisor.hpp"
#include "tests/support/children.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/gate.hpp"
#include "tests/support/shared_name.hpp"
#include "tests/support/single_step.hpp"

namespace procpool::proc {
namespace {

using namespace std::chrono_literals;
using test::Forked;
using test::Gate;

constexpr auto kSpan = 500ms;

// How often a process of one thread has gone to sleep: proc(5), /proc/PID/status.
long sleeps_of(pid_t pid) {
  const std::string status = read_file("/proc/" + std::to_string(pid) + "/status");
  const std::string field = "\nvoluntary_ctxt_switches:\t";
  return std::stol(status.substr(status.find(field) + field.size()));
}

// Sleeps until the process has not run for a while, and looks how often it wakes after that.
long sleeps_within_the_span(pid_t pid) {
  EXPECT_TRUE(test::eventually([&] { return test::is_asleep(pid); }));
  const long before = sleeps_of(pid);
  std::this_thread::sleep_for(kSpan);
  return sleeps_of(pid) - before;
}

// With all that may keep a clock running: a child that is given up, one of a stable life, a
// readiness deadline that was met, a status that others read, orphans to adopt.
TEST(SupervisorIdle, makes_no_context_switch_while_nothing_happens) {
  Gate ready;
  Forked process{[&] {
    Watched watched;
    watched.supervisor.show_status(test::shared_name("idle"));
    watched.supervisor.adopt_orphans();
    ChildSpec brief = worker([](ChildContext& context) {
      context.ready();
      return 0;
    });
    brief.restart_type = RestartType::temporary;
    std::vector<ChildSpec> children = workers(5);
    children.push_back(brief);
    watched.start(children, terminate, {.intensity = GenerationPolicy::Intensity{.at_most = 9}});
    ::kill(watched.pids().front(), SIGKILL);
    watched.step_until([&] { return watched.running() == 5 && watched.count(Kind::ready) == 7; });
    Loop loop;
    const Loop::Watch watch{loop, watched.supervisor.fd(), Interest::read, [&](auto&) {
                              watched.supervisor.step();
                              if (watched.count(Kind::ready) == 8) loop.stop();
                            }};
    watched.supervisor.step();
    ready.open();
    loop.run();
    return 0;
  }};
  ready.wait();
  EXPECT_EQ(sleeps_within_the_span(process.pid()), 0);
  const auto children = test::list_children(process.pid());
  ASSERT_EQ(children.size(), 5U);
  ::kill(children.front().pid, SIGKILL);
  EXPECT_EQ(process.wait(), test::exited(0)) << "it was idle, and not asleep for ever";
  EXPECT_TRUE(test::await_no_children());
}

}  // namespace
}  // namespace procpool::proc
