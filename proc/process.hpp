// A child process, by its pidfd: a forked function or a spawned program.
//
//   auto indexer = Process::fork([] { return index(); }, {.name = "indexer", .nice = 5});
//   auto build = Process::spawn({"make", "-j2"}, {.working_directory = "/src"});
//   if (!build.wait_for(60s)) build.stop({{SIGTERM, 5s}, {SIGKILL, kForever}});
//   ExitStatus status = build.wait();                  // the same value at every call
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ipc/base/deadline.hpp"
#include "ipc/base/unique_fd.hpp"
#include "proc/child_options.hpp"
#include "proc/escalation.hpp"
#include "proc/exit_status.hpp"

namespace procpool::proc {

// Whom a signal reaches.
enum class Recipient {
  process,
  group,  // the child and all that are in its process group: ProcessGroup::own or session
};

// Owns one child, from before it can end until it is reaped. Move only; for one thread at a time.
// Its exit status is published once: the call that finds it ended reaps it, later calls return the
// same value. Nobody else may reap it: no waitpid(-1), and SIGCHLD not ignored (fork and spawn then
// throw). After fork the copy in the child owns nothing: its destructor only closes, and waiting
// throws Error.
class Process {
 public:
  // Forks, sets the child up and runs `body` in it; its result is the exit code. The child ends in
  // _exit(2): no destructor of the parent's objects and no atexit handler runs, and nothing of its
  // stdio is flushed but what the body flushed. An exception that leaves the body is printed to
  // stderr, and the code is 70 (EX_SOFTWARE). In a parent with other threads the body must not wait
  // for what they held: fork(2). Returns when no step of the set-up can fail any more. Throws Error
  // naming the step that failed ("fork", "chdir", ...); ETIMEDOUT after 5 s, if somebody stops the
  // child meanwhile.
  static Process fork(const std::function<int()>& body, const ChildOptions& options = {});

  // Runs a program: argv[0] with a slash is a path, else it is looked for in the parent's PATH.
  // Cheap in big parents: the child borrows the parent's memory until exec (CLONE_VM |
  // CLONE_VFORK), unless it changes credentials. Returns when the program runs. Throws Error naming
  // the step that failed ("exec", ...); with credentials also ETIMEDOUT, as fork.
  static Process spawn(const std::vector<std::string>& argv, const ChildOptions& options = {});

  // A child that this process has already, from the time before it executed this program
  // (execve(2)). Nullopt: it has no such child. Nobody else may have adopted it.
  static std::optional<Process> adopt(pid_t pid, const std::string& name);

  Process(Process&&) noexcept;
  Process& operator=(Process&&) noexcept;
  ~Process();  // ChildOptions::on_destroy, unless it is reaped

  pid_t pid() const noexcept { return pid_; }      // for messages: it may be another's once reaped
  int fd() const noexcept { return pidfd_.fd(); }  // pidfd: readable when the child has ended
  bool ready() const;                              // wait() would not block
  const std::string& name() const noexcept { return name_; }
  bool leads_group() const noexcept { return leads_group_; }  // ProcessGroup::own or session

  // Wait for the end and reap. They ignore stopped and continued children, and descendants that
  // still hold pipes.
  ExitStatus wait();
  std::optional<ExitStatus> wait_until(Deadline deadline);  // nullopt: it runs still
  std::optional<ExitStatus> wait_for(Deadline::Clock::duration d) {
    return wait_until(Deadline::in(d));
  }
  std::optional<ExitStatus> try_wait() { return wait_until(Deadline::now()); }

  // As try_wait(), but leaves it unreaped (WNOWAIT): its pid and process group cannot be reused.
  std::optional<ExitStatus> peek() const;
  bool is_running() const { return !peek(); }

  // Sends a signal through the pidfd. False: it has been reaped. A zombie takes any signal. To the
  // group: also when the child itself has ended, as long as it is unreaped, for so long the group's
  // number is its own. A child that has left an empty group behind gets it alone. Throws Error if
  // the child was not started as the leader of a group.
  bool signal(int signal_number, Recipient recipient = Recipient::process);

  // Sends the signal with a value: SignalInfo::value, sigqueue(3). Real-time signals (SIGRTMIN to
  // SIGRTMAX) queue, each with its value. False: it has been reaped. Throws Error (EAGAIN: too many
  // are queued, RLIMIT_SIGPENDING).
  bool signal_with_value(int signal_number, int value);

  // Sends the step's signal, and SIGCONT: what stop() does at each step. For those who wait
  // otherwise.
  void take(const EscalationStep& step, Recipient recipient = Recipient::process);

  // Carries the escalation out until the child has ended; blocks so long. To the group: when the
  // child has ended, what is left of its group is killed (SIGKILL) before the child is reaped.
  ExitStatus stop(const Escalation& escalation, Recipient recipient = Recipient::process);

  // What the child and the descendants that it waited for used, getrusage(2); nullopt until it is
  // reaped.
  const std::optional<rusage>& usage() const noexcept { return usage_; }

  // The parent's end of Redirection::pipe_to or pipe_from; close it by reset(). Throws Error: no
  // such pipe.
  UniqueFd& pipe(int target);

 private:
  class Start;
  struct Pipe {
    int target;
    UniqueFd end;
  };
  Process(pid_t pid, UniqueFd pidfd, const ChildOptions& options, std::vector<Pipe> pipes);

  void require_owner(const char* operation) const;
  std::optional<ExitStatus> await_end(int waitid_flags, rusage* usage) const;

  pid_t owner_ = 0;  // who may wait; 0: moved from
  pid_t pid_ = 0;
  UniqueFd pidfd_;
  std::string name_;
  OnDestroy on_destroy_ = OnDestroy::wait;
  bool leads_group_ = false;
  std::optional<ExitStatus> status_;
  std::optional<rusage> usage_;
  std::vector<Pipe> pipes_;
};

}  // namespace procpool::proc
