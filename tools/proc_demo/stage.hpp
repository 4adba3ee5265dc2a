// Where a scenario plays: its processes, what they do to each other, and what the kernel shows.
//
//   pid_t child = stage.fork("child", [&] { stage.await(leave); ::_exit(7); });
//   leave.give();
//   stage.await_end(child);                              // its pidfd is readable
//   stage.prove("its state", 'Z', stage.look(child));    // expected, observed
//   stage.reap(child);
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "ipc/base/unique_fd.hpp"
#include "ipc/channel.hpp"
#include "ipc/mutex.hpp"
#include "ipc/shared.hpp"
#include "proc/exit_status.hpp"
#include "tools/proc_demo/event.hpp"
#include "tools/proc_demo/evidence.hpp"
#include "tools/text.hpp"

namespace procpool::proc_demo {

// A cue between processes, by a pipe: not given until somebody gives it, and given from then on.
class Cue {
 public:
  Cue();
  void give() const;
  int fd() const noexcept { return given_.fd(); }  // readable: it is given

 private:
  UniqueFd given_;
  UniqueFd giving_;
};

enum class Stepping { no, yes };

// Shared by all processes of a scenario, which inherit it over fork: bare fork(2) and waitid(2),
// for what is to be seen is what the kernel does. Events are sent under one lock, so they arrive in
// the order of their times. The process that has made it, "director", is the subreaper of all
// others.
class Stage {
 public:
  // Events go into `events`. All who await a cue end when `life` is hung up.
  Stage(ipc::Channel events, UniqueFd life, Stepping stepping);

  // A process of the scenario, which ends in _exit(0) unless it does so itself.
  pid_t fork(std::string_view role, const std::function<void()>& act);

  // By who has forked a child in another way.
  void forked(pid_t child, std::string_view role);

  // By a process that the stage has not forked: its role from now on, and its name in /proc.
  void enter(std::string_view role);

  // What /proc says of a process that somebody else has made; its role is the name that it has
  // there.
  ProcStat meet(pid_t pid);

  template <typename... Parts>
  void say(const Parts&... parts) {
    send({.kind = Event::Kind::said, .words = demo::text(parts...)});
  }

  // What has to be so: the same text expected and observed. A difference makes the program fail.
  template <typename Expected, typename Observed>
  void prove(std::string_view what, const Expected& expected, const Observed& observed) {
    send({.kind = Event::Kind::proof,
          .words = std::string{what},
          .expected = demo::part(expected),
          .observed = demo::part(observed)});
  }

  // Blocks until the cue is given. The process ends here when the tool is gone.
  void await(const Cue& cue) const;

  // Blocks until an unreaped process has ended: its pidfd is readable.
  void await_end(pid_t pid);

  // Blocks until /proc shows an unreaped process in this state; then as look().
  void await_state(pid_t pid, char state);

  // What /proc says of the state of a process now; '-': there is no such process.
  char look(pid_t pid);

  // The parent that /proc says a process has now, after its own has ended.
  pid_t look_for_adopter(pid_t pid);

  // By its parent: waits for a child and reaps it. Throws Error if its act has thrown.
  proc::ExitStatus reap(pid_t child);

  // By its parent, which has reaped a child in another way.
  void reaped(pid_t child, const proc::ExitStatus& status);

  // By its parent: what reap() would say, without reaping it (WNOWAIT). Blocks until it has ended.
  proc::ExitStatus peek(pid_t child);

  void signal(pid_t target, int signal_number);

  // By who has sent a signal in another way.
  void signaled(pid_t target, int signal_number);

  // What this process runs from now on.
  void execs(std::string_view program);

 private:
  void send(Event event);

  ipc::Channel events_;
  UniqueFd life_;
  Stepping stepping_;
  std::string role_ = "director";
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  ipc::Shared<ipc::Mutex> speaking_;
};

// What waitid(2) says of a child, with these flags (WEXITED, ...).
proc::ExitStatus wait_for(pid_t child, int flags);

}  // namespace procpool::proc_demo
