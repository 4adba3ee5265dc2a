#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <string>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/process_id.hpp"
#include "proc/signal_source.hpp"
#include "tools/ipc_demo/scenario.hpp"

namespace procpool::demo {
namespace {

proc::SignalInfo await_signal(proc::SignalSource& source) {
  for (;;) {
    if (const auto signal = source.try_next()) return *signal;
    wait_ready(source.fd(), POLLIN, Deadline::never());
  }
}

void queue_signal(pid_t receiver, int number, int value) {
  if (::sigqueue(receiver, number, {.sival_int = value}) < 0) throw_errno("sigqueue");
}

void play(Stage& stage) {
  const int with_value = SIGRTMIN;
  Cue listening;
  Cue all_sent;
  auto receiver = stage.enter("receiver", [&] {
    proc::SignalSource source{{SIGUSR1, with_value}};
    stage.say("takes USR1 and RTMIN by a descriptor, and waits for it in poll(2)");
    listening.give();
    const auto first = await_signal(source);
    stage.say("got ", proc::signal_name(first.number), " from ", first.sender);
    stage.prove("the sender, as the kernel tells", ::getppid(), first.sender);
    all_sent.await();
    int usr1 = 0;
    std::string values;
    while (!values.ends_with("3 ")) {
      const auto signal = await_signal(source);
      if (signal.number == SIGUSR1) ++usr1;
      if (signal.number == with_value) values += text(signal.value, " ");
    }
    stage.say("found one USR1, for standard signals coalesce, and RTMIN with the values ", values,
              "for real-time signals queue");
    stage.prove("USR1 received of 3 sent while it did not look", 1, usr1);
    stage.prove("RTMIN received of 3 sent, with their values", "1 2 3 ", values);
  });
  listening.await();
  stage.await_sleep(receiver);
  stage.say("sends USR1");
  receiver.signal(SIGUSR1);
  stage.await_sleep(receiver);
  stage.say("sends USR1 three times, and RTMIN with 1, 2 and 3");
  for (int i = 1; i <= 3; ++i) {
    receiver.signal(SIGUSR1);
    queue_signal(receiver.pid(), with_value, i);
  }
  all_sent.give();
  stage.finish(receiver);
}

void kill(Stage& stage) {
  Cue listening;
  auto receiver = stage.enter("receiver", [&] {
    proc::SignalSource source{{SIGUSR1}};
    stage.say("takes USR1 by a descriptor, and waits");
    listening.give();
    const auto signal = await_signal(source);
    stage.say("got ", proc::signal_name(signal.number), ", works for ever");
    ::pause();
  });
  listening.await();
  receiver.signal(SIGUSR1);
  Cue watching;
  auto watcher = stage.enter("watcher", [&] {
    const UniqueFd pidfd = open_pidfd(receiver.pid());
    stage.say("waits for the receiver's end by a pidfd");
    watching.give();
    wait_ready(pidfd.fd(), POLLIN, Deadline::never());
    stage.say("saw its end ", stage.ms_since_kill(), " ms after the kill");
    stage.prove("the pidfd tells of the end", true, has_ended(pidfd.fd()));
  });
  watching.await();
  stage.await_sleep(watcher);
  stage.await_sleep(receiver);
  stage.kill(receiver);
  stage.finish(watcher);
  stage.prove("how the receiver ended", "killed by SIGKILL", receiver.wait().text());
  const bool delivered = receiver.signal(SIGUSR1);
  stage.say("sends USR1 to the dead: refused, and no later process with its pid gets it");
  stage.prove("a signal to the dead is delivered", false, delivered);
}

// There and back by signals that a process takes as data, or waits for by the bare system call.
double by_source() {
  const pid_t parent = ::getpid();
  proc::SignalSource source{{SIGUSR1}};
  auto other = proc::Process::fork(
      [&] {
        proc::SignalSource own{{SIGUSR1}};
        for (;;) {
          await_signal(own);
          ::kill(parent, SIGUSR1);
        }
        return 0;
      },
      {.name = "other", .die_with_parent = true, .blocked_signals = {SIGUSR1}});
  return ns_a_call([&] {
    other.signal(SIGUSR1);
    await_signal(source);
  });
}

double by_sigwaitinfo() {
  const pid_t parent = ::getpid();
  const proc::SignalSet usr1{SIGUSR1};
  const proc::ScopedSignalMask blocked{usr1};
  const auto other = proc::Process::fork(
      [&] {
        for (;;) {
          ::sigwaitinfo(&usr1.native(), nullptr);
          ::kill(parent, SIGUSR1);
        }
        return 0;
      },
      {.name = "other", .die_with_parent = true, .blocked_signals = usr1});
  return ns_a_call([&] {
    ::kill(other.pid(), SIGUSR1);
    ::sigwaitinfo(&usr1.native(), nullptr);
  });
}

std::vector<Measurement> bench() {
  return {{"SignalSource, there and back", by_source()},
          {"kill(2) and sigwaitinfo(2)", by_sigwaitinfo()}};
}

}  // namespace

const Scenario signal_scenario{
    .name = "signal",
    .summary = "a number from anybody, taken as data in an event loop",
    .when =
        "Use signals for what an operator or a parent says to a process: stop, reload, look "
        "again. A SignalSource makes them readable like any descriptor, so no code runs in a "
        "handler, and tells who sent them. They carry next to nothing and standard ones "
        "coalesce, so send data by anything else.",
    .killed = "the receiver; a pidfd tells of it, and nobody else gets its signals",
    .play = play,
    .kill = kill,
    .bench = bench,
};

}  // namespace procpool::demo
