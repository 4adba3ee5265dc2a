// What a child starts with: the same for a forked function and a spawned program.
//
//   auto worker = Process::fork(work, {.name = "worker", .die_with_parent = true,
//                                      .credentials = Credentials::of("www-data"),
//                                      .keep_only = {{listener.fd()}}});
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "proc/credentials.hpp"
#include "proc/redirection.hpp"
#include "proc/signal_set.hpp"

namespace procpool::proc {

struct ResourceLimit {  // setrlimit(2)
  int resource = 0;     // RLIMIT_NOFILE, ...
  rlim_t soft = RLIM_INFINITY;
  rlim_t hard = RLIM_INFINITY;
};

enum class ProcessGroup {
  inherited,
  own,      // leads a new group: setpgid(2)
  session,  // leads a new session without a terminal: setsid(2)
};

enum class OnDestroy {
  kill_and_wait,  // SIGKILL, also to the group that it leads, and it is reaped
  wait,           // blocks until the child ends by itself
};

// A value. The child's mask and dispositions are always reset, what the parent ignores too; nothing
// else changes unless it is said here. Order of effect: signals, process group, terminal, cgroup,
// CPUs, limits, nice, umask, credentials, no_new_privs, working directory, die_with_parent,
// redirections, descriptors. What no kernel could take (a text with a zero byte, a variable without
// a name, a CPU below 0) throws Error before anything is started.
struct ChildOptions {
  // For messages; also the name that ps(1) shows of a forked child, as far as 15 bytes go.
  std::string name{};

  // SIGKILL when the parent dies: PR_SET_PDEATHSIG, prctl(2). The kernel binds it to the *thread*
  // that forks: the child dies when that thread ends. It does not outlive a set-user-ID program's
  // exec.
  bool die_with_parent = false;

  ProcessGroup process_group = ProcessGroup::inherited;

  // Becomes a member of this group: setpgid(2). It is safe to name while its leader is unreaped.
  std::optional<pid_t> join_group{};

  // A descriptor of the parent, of a terminal that no session has yet: it becomes the controlling
  // one of the child's own (process_group = session), ioctl_tty(2), TIOCSCTTY. From then on what is
  // typed there signals the child, and it gets SIGHUP at the hang-up.
  std::optional<int> controlling_terminal{};

  // The folder of a control group, cgroups(7), of version 2, or one hierarchy of version 1. The
  // child is in it before it runs anything of its own; who may move it there is the parent's right.
  std::optional<std::string> cgroup{};

  std::vector<int> cpus{};  // it may run on these only: sched_setaffinity(2). Empty: as the parent

  int nice = 0;  // added to the parent's: nice(2). Below 0 needs a privilege.
  std::optional<mode_t> umask{};
  std::vector<ResourceLimit> limits{};
  std::optional<Credentials> credentials{};
  bool no_new_privs = false;  // no set-user-ID program gives it any: PR_SET_NO_NEW_PRIVS, prctl(2)
  std::optional<std::string> working_directory{};  // entered with the child's own rights

  std::vector<Redirection> redirections{};

  // Unset: a forked child has every descriptor of its parent, a spawned one what is not
  // close-on-exec. Set: exactly 0, 1, 2, the targets of redirections, and these, under their own
  // numbers, also across exec. A forked child gets rid of its parent's locks, pidfds and epolls
  // only so: close-on-exec does not help it.
  std::optional<std::vector<int>> keep_only{};

  // The child's signal mask: what it will take by a SignalSource waits for it from the start.
  SignalSet blocked_signals{};

  // What the child ignores from the start, also across exec: SIGHUP, as nohup(1) does it.
  SignalSet ignored_signals{};

  // "NAME=value" each, instead of the parent's.
  std::optional<std::vector<std::string>> environment{};

  OnDestroy on_destroy = OnDestroy::kill_and_wait;
};

}  // namespace procpool::proc
