#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ipc/base/error.hpp"
#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

double cpu_ms(clockid_t clock) {
  timespec used{};
  if (::clock_gettime(clock, &used) < 0) throw_errno("clock_gettime");
  return static_cast<double>(used.tv_sec) * 1e3 + static_cast<double>(used.tv_nsec) / 1e6;
}

double cpu_ms_of(pid_t pid) {
  clockid_t clock = 0;
  if (::clock_getcpuclockid(pid, &clock) != 0) throw Error{"clock_getcpuclockid", "", "no process"};
  return cpu_ms(clock);
}

// Both compete for the CPU on which this runs.
void share_one_cpu() {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) < 0) throw_errno("sched_getaffinity");
  int first = 0;
  while (CPU_ISSET(first, &allowed) == 0) ++first;
  CPU_ZERO(&allowed);
  CPU_SET(first, &allowed);
  if (::sched_setaffinity(0, sizeof allowed, &allowed) < 0) throw_errno("sched_setaffinity");
}

[[noreturn]] void compute(const Cue& computed) {
  constexpr double kLong = 200;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  share_one_cpu();
  while (cpu_ms(CLOCK_PROCESS_CPUTIME_ID) < kLong) {
  }
  computed.give();
  for (;;) cpu_ms(CLOCK_PROCESS_CPUTIME_ID);
}

void play(Stage& stage) {
  const Cue nobody_looks;
  const Cue is_nice;
  const Cue computed;
  const int own = stat_of(::getpid())->nice;
  const pid_t nice = stage.fork("nice", [&] {
    if (::setpriority(PRIO_PROCESS, 0, 19) < 0) throw_errno("setpriority");
    stage.say("takes nice 19, and computes");
    const pid_t child = stage.fork("child", [] {});
    stage.prove("fork keeps it", 19, stat_of(child)->nice);
    stage.reap(child);
    is_nice.give();
    compute(nobody_looks);
  });
  stage.await(is_nice);
  const pid_t usual = stage.fork("usual", [&] { compute(computed); });
  stage.await(computed);
  const double of_nice = cpu_ms_of(nice);
  const double of_usual = cpu_ms_of(usual);
  stage.say("CPU time on the same CPU: ", of_usual, " ms beside ", of_nice, " ms for the nice one");
  stage.prove("nice value of the usual one: as its parent's", own, stat_of(usual)->nice);
  stage.prove("nice value of the other", 19, stat_of(nice)->nice);
  stage.signal(nice, SIGKILL);
  stage.signal(usual, SIGKILL);
  stage.reap(nice);
  stage.reap(usual);
}

}  // namespace

const Scenario priority_scenario{
    .name = "priority",
    .summary = "nice: who gets the CPU when two want it",
    .lesson =
        "nice says how much somebody gives way, from -20 to 19: it matters only when there are "
        "more processes than CPUs, and then each step is about a tenth of the CPU. Children "
        "inherit "
        "it; anybody may become nicer, and only the privileged may go back.",
    .play = play,
};

}  // namespace procpool::proc_demo
