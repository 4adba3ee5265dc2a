#include "tools/proc_demo/stage.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <exception>
#include <mutex>
#include <span>
#include <thread>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/process_id.hpp"

namespace procpool::proc_demo {
namespace {

using demo::text;

constexpr int kSoftware = 70;  // EX_SOFTWARE, sysexits.h

[[noreturn]] void run_act(std::string_view role, const std::function<void()>& act) {
  try {
    act();
    ::_exit(0);
  } catch (const std::exception& error) {
    const std::string words = text("proc-demo: ", role, ": ", error.what(), "\n");
    static_cast<void>(::write(STDERR_FILENO, words.data(), words.size()));
  }
  ::_exit(kSoftware);
}

}  // namespace

Cue::Cue() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) throw_errno("pipe2");
  given_.reset(ends[0]);
  giving_.reset(ends[1]);
}

void Cue::give() const {
  write_full(giving_.fd(), "!", "cue");  // never read: it stays readable
}

Stage::Stage(ipc::Channel events, UniqueFd life, Stepping stepping)
    : events_{std::move(events)}, life_{std::move(life)}, stepping_{stepping} {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) throw_errno("prctl", "PR_SET_CHILD_SUBREAPER");
}

void Stage::send(Event event) {
  const std::scoped_lock lock{*speaking_};
  event.time = std::chrono::steady_clock::now() - start_;
  if (event.pid == 0) event.pid = ::getpid();
  event.role = role_;
  const std::string line = encode(event);
  events_.send(std::as_bytes(std::span{line}));
  if (stepping_ == Stepping::no) return;
  std::array<std::byte, 1> go_on;
  events_.receive(go_on);
}

pid_t Stage::fork(std::string_view role, const std::function<void()>& act) {
  // Everything that the child says comes behind the fork: it cannot speak before that is said.
  Cue told;
  const pid_t child = ::fork();
  if (child < 0) throw_errno("fork");
  if (child == 0) {
    enter(role);
    await(told);
    run_act(role, act);
  }
  forked(child, role);
  told.give();
  return child;
}

void Stage::forked(pid_t child, std::string_view role) {
  send({.kind = Event::Kind::fork,
        .other = child,
        .detail = std::string{role},
        .words = text("forks ", role, ", pid ", child)});
}

void Stage::enter(std::string_view role) {
  role_ = role;
  ::prctl(PR_SET_NAME, role_.c_str());
}

ProcStat Stage::meet(pid_t pid) {
  const auto stat = stat_of(pid);
  if (!stat) throw Error{"meet", text(pid), "there is no such process"};
  send({.kind = Event::Kind::seen,
        .other = pid,
        .detail = stat->name,
        .words = text("reads /proc/", pid, "/stat: ", stat->name, ", parent ", stat->ppid)});
  return *stat;
}

void Stage::await(const Cue& cue) const {
  std::array<pollfd, 2> ready{{{.fd = cue.fd(), .events = POLLIN, .revents = 0},
                               {.fd = life_.fd(), .events = POLLIN, .revents = 0}}};
  if (retry_eintr([&] { return ::poll(ready.data(), ready.size(), -1); }) < 0) throw_errno("poll");
  if (ready[1].revents != 0) ::_exit(kSoftware);
}

void Stage::await_end(pid_t pid) {
  const UniqueFd pidfd = open_pidfd(pid);
  wait_ready(pidfd.fd(), POLLIN, Deadline::never());
  send({.kind = Event::Kind::end,
        .other = pid,
        .words = text("sees that ", pid, " has ended: its pidfd is readable")});
}

void Stage::await_state(pid_t pid, char state) {
  // No event tells of it: /proc is asked again and again.
  for (auto stat = stat_of(pid); stat && stat->state != state; stat = stat_of(pid)) {
    std::this_thread::sleep_for(std::chrono::microseconds{200});
  }
  look(pid);
}

char Stage::look(pid_t pid) {
  const auto stat = stat_of(pid);
  if (!stat) {
    send({.kind = Event::Kind::state,
          .other = pid,
          .detail = "-",
          .words = text("sees no /proc/", pid, " any more: the pid is free")});
    return '-';
  }
  send({.kind = Event::Kind::state,
        .other = pid,
        .detail = std::string(1, stat->state),
        .words = text("reads /proc/", pid, "/stat: ", stat->state, " (", meaning_of(stat->state),
                      "), parent ", stat->ppid)});
  return stat->state;
}

pid_t Stage::look_for_adopter(pid_t pid) {
  const auto stat = stat_of(pid);
  if (!stat) throw Error{"look for the parent", text(pid), "there is no such process"};
  send({.kind = Event::Kind::adopted,
        .other = pid,
        .detail = text(stat->ppid),
        .words = text("reads /proc/", pid, "/stat: its parent is ", stat->ppid, " now")});
  return stat->ppid;
}

proc::ExitStatus Stage::reap(pid_t child) {
  const proc::ExitStatus status = wait_for(child, WEXITED);
  reaped(child, status);
  if (status == proc::ExitStatus::exited(kSoftware)) throw Error{"play", text(child), "it failed"};
  return status;
}

void Stage::reaped(pid_t child, const proc::ExitStatus& status) {
  send({.kind = Event::Kind::wait,
        .other = child,
        .detail = status.text(),
        .words = text("waits for ", child, " and reaps it: ", status.text())});
}

proc::ExitStatus Stage::peek(pid_t child) {
  const proc::ExitStatus status = wait_for(child, WEXITED | WNOWAIT);
  say("asks by waitid(WNOWAIT), which reaps nothing: ", child, " ", status.text());
  return status;
}

void Stage::signal(pid_t target, int signal_number) {
  if (::kill(target, signal_number) < 0) throw_errno("kill", text(target));
  signaled(target, signal_number);
}

void Stage::signaled(pid_t target, int signal_number) {
  send({.kind = Event::Kind::signal,
        .other = target,
        .detail = proc::signal_name(signal_number),
        .words = text("sends ", proc::signal_name(signal_number), " to ", target)});
}

void Stage::execs(std::string_view program) {
  send({.kind = Event::Kind::exec,
        .detail = std::string{program},
        .words = text("executes ", program)});
}

proc::ExitStatus wait_for(pid_t child, int flags) {
  siginfo_t info{};
  const auto id = static_cast<id_t>(child);
  if (retry_eintr([&] { return ::waitid(P_PID, id, &info, flags); }) < 0) {
    throw_errno("waitid", text(child));
  }
  return proc::ExitStatus::from_siginfo(info);
}

}  // namespace procpool::proc_demo
