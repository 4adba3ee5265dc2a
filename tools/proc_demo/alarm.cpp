#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>

#include "ipc/base/error.hpp"
#include "proc/signal_action.hpp"
#include "proc/signal_mask.hpp"
#include "proc/signal_wait.hpp"
#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

void do_nothing(int) {}

void set_timer(int ms) {
  const itimerval once{.it_interval = {.tv_sec = 0, .tv_usec = 0},
                       .it_value = {.tv_sec = 0, .tv_usec = ms * 1000}};
  if (::setitimer(ITIMER_REAL, &once, nullptr) < 0) throw_errno("setitimer");
}

void play(Stage& stage) {
  const Cue never;
  const pid_t careless = stage.fork("careless", [&] {
    stage.say("sets a timer of 20 ms, and does nothing about SIGALRM");
    set_timer(20);
    stage.await(never);
  });
  stage.prove("what an alarm does by default", "killed by SIGALRM", stage.reap(careless).text());

  const pid_t handling = stage.fork("handling", [&] {
    const proc::ScopedSignalAction handled{SIGALRM, do_nothing, 0};
    stage.say("handles SIGALRM, sets 20 ms, and reads from a pipe where nothing comes");
    set_timer(20);
    char c = 0;
    const ssize_t n = ::read(never.fd(), &c, 1);
    stage.prove("what read says", "Interrupted system call", n < 0 ? error_text(errno) : "");
  });
  stage.reap(handling);

  const pid_t data = stage.fork("as data", [&] {
    const proc::ScopedSignalMask blocked{{SIGALRM}};
    stage.say("blocks SIGALRM, sets 20 ms, and waits for it: sigtimedwait(2)");
    set_timer(20);
    stage.prove("taken as data", "SIGALRM",
                proc::signal_name(proc::wait_for_signal({SIGALRM})->number));
    constexpr unsigned kSeconds = 1000;
    ::alarm(kSeconds);
    const pid_t child = stage.fork("child", [&] {
      stage.prove("an alarm that was set before fork: seconds left in the child", 0u, ::alarm(0));
    });
    stage.reap(child);
    const unsigned left = ::alarm(0);
    stage.prove("in the parent it is set still", true, left > 0 && left <= kSeconds);
    stage.prove("alarm(0) has cancelled it", 0u, ::alarm(0));
  });
  stage.reap(data);
}

}  // namespace

const Scenario alarm_scenario{
    .name = "alarm",
    .summary = "one timer for a process, and the signal it sends",
    .lesson =
        "alarm and setitimer share one timer in a process; SIGALRM is fatal unless it is handled, "
        "and a handler interrupts what waits (EINTR). A child of fork has no alarm; exec keeps it. "
        "A timerfd has none of these traps: any number of them, and no signal.",
    .play = play,
};

}  // namespace procpool::proc_demo
