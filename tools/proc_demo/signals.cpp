#include <signal.h>
#include <unistd.h>

#include "proc/signal_action.hpp"
#include "proc/signal_mask.hpp"
#include "proc/signal_wait.hpp"
#include "tools/proc_demo/program.hpp"
#include "tools/proc_demo/scenario.hpp"

namespace procpool::proc_demo {
namespace {

void do_nothing(int) {}

void show_inheritance(Stage& stage) {
  const Cue may_end;
  const pid_t child = stage.fork("child", [&] { stage.await(may_end); });
  stage.prove("fork: a blocked signal is blocked", true, mask_contains(child, "SigBlk", SIGUSR1));
  stage.prove("fork: an ignored signal is ignored", true, mask_contains(child, "SigIgn", SIGUSR2));
  stage.prove("fork: a handler is kept", true, mask_contains(child, "SigCgt", SIGHUP));
  stage.prove("fork: the parent's pending signal is not the child's", false,
              mask_contains(child, "ShdPnd", SIGUSR1));
  may_end.give();
  stage.reap(child);

  Program program{stage, "program", [&] {
                    ::kill(::getpid(), SIGUSR1);
                    stage.say("sends SIGUSR1 to itself, where it is blocked: it is pending");
                  }};
  const pid_t pid = program.pid();
  stage.prove("exec: a blocked signal is blocked", true, mask_contains(pid, "SigBlk", SIGUSR1));
  stage.prove("exec: a pending signal is pending", true, mask_contains(pid, "ShdPnd", SIGUSR1));
  stage.prove("exec: an ignored signal is ignored", true, mask_contains(pid, "SigIgn", SIGUSR2));
  stage.prove("exec: a handler is gone, its code is no more", false,
              mask_contains(pid, "SigCgt", SIGHUP));
  program.end();
}

void show_queues(Stage& stage) {
  const proc::ScopedSignalMask blocked{{SIGTERM, SIGRTMIN}};
  for (int value = 1; value <= 3; ++value) {
    ::sigqueue(::getpid(), SIGTERM, {.sival_int = value});
    ::sigqueue(::getpid(), SIGRTMIN, {.sival_int = value});
  }
  stage.say("sends itself SIGTERM and SIGRTMIN, 3 times each, with the values 1, 2, 3");
  std::string standard;
  std::string real_time;
  while (const auto info = proc::wait_for_signal({SIGTERM}, Deadline::now())) {
    standard += demo::text(info->value, " ");
  }
  while (const auto info = proc::wait_for_signal({SIGRTMIN}, Deadline::now())) {
    real_time += demo::text(info->value, " ");
  }
  stage.prove("SIGTERM, a standard signal: one arrives, the first", "1 ", standard);
  stage.prove("SIGRTMIN, a real-time signal: all arrive, in order", "1 2 3 ", real_time);
}

void play(Stage& stage) {
  const pid_t actor = stage.fork("parent", [&] {
    const proc::ScopedSignalMask blocked{{SIGUSR1}};
    const proc::ScopedSignalAction ignored{SIGUSR2, SIG_IGN};
    const proc::ScopedSignalAction handled{SIGHUP, do_nothing};
    stage.say("blocks SIGUSR1, ignores SIGUSR2, handles SIGHUP");
    stage.signal(::getpid(), SIGUSR1);
    stage.prove("what is sent to who blocks it is pending", true,
                mask_contains(::getpid(), "ShdPnd", SIGUSR1));
    stage.signal(::getpid(), SIGUSR2);
    stage.prove("what is ignored is never pending", false,
                mask_contains(::getpid(), "ShdPnd", SIGUSR2));
    show_inheritance(stage);
    const bool taken = proc::wait_for_signal({SIGUSR1}, Deadline::now()).has_value();
    stage.prove("the pending one is there to be taken", true, taken);
    show_queues(stage);
  });
  stage.reap(actor);
}

}  // namespace

const Scenario signals_scenario{
    .name = "signals",
    .summary = "blocked, pending, ignored, handled: and what fork and exec keep of it",
    .lesson =
        "fork keeps mask, dispositions and handlers, but pending signals belong to one process. "
        "exec keeps the mask, what is pending and what is ignored (so a nohup works, and an "
        "ignored "
        "SIGPIPE or SIGCHLD surprises the program), and forgets handlers. Standard signals merge, "
        "real-time signals queue.",
    .play = play,
};

}  // namespace procpool::proc_demo
