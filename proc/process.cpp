#include "proc/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <limits>
#include <memory>
#include <string_view>

#include "ipc/base/detail/proc_stat.hpp"
#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/process_id.hpp"
#include "proc/detail/child_setup.hpp"
#include "proc/detail/move_above.hpp"
#include "proc/detail/pointers.hpp"
#include "proc/detail/thread_sanitizer.hpp"
#include "proc/signal_mask.hpp"

namespace procpool::proc {
namespace {

using detail::ChildPlan;
using detail::first_free_of;
using detail::make_pipe_above;
using detail::move_above;
using detail::pointers_to;

void require_reapable(const char* operation, const std::string& name) {
  struct sigaction action{};
  ::sigaction(SIGCHLD, nullptr, &action);
  if (action.sa_handler == SIG_IGN || (action.sa_flags & SA_NOCLDWAIT) != 0) {
    throw Error{operation, name, "SIGCHLD is ignored: the kernel would drop the exit status"};
  }
}

UniqueFd open_above(const std::string& path, int flags, mode_t mode, int floor) {
  UniqueFd file{retry_eintr([&] { return ::open(path.c_str(), flags | O_CLOEXEC, mode); })};
  if (!file.valid()) throw_errno("open", path);
  return move_above(std::move(file), floor);
}

// The kernel would take what comes before the zero byte for all of it.
void require_text(const char* what, const std::string& text) {
  const auto zero = text.find('\0');
  if (zero != std::string::npos) throw Error{what, text.substr(0, zero), "has a zero byte"};
}

void require_sense(const ChildOptions& options) {
  if (options.working_directory) require_text("chdir", *options.working_directory);
  for (const Redirection& redirection : options.redirections) {
    require_text("open", redirection.path);
    if (redirection.target < 0) throw_errno("dup2", std::to_string(redirection.target), EBADF);
  }
  for (const std::string& variable : options.environment.value_or(std::vector<std::string>{})) {
    require_text("environment", variable);
    const auto equals = variable.find('=');
    if (equals == 0 || equals == std::string::npos) {
      throw Error{"environment", variable, "is not NAME=value"};
    }
  }
  if (options.join_group && options.process_group != ProcessGroup::inherited) {
    throw Error{"setpgid", options.name, "who leads a group of its own cannot join another"};
  }
  if (options.controlling_terminal && options.process_group != ProcessGroup::session) {
    throw Error{"ioctl(TIOCSCTTY)", options.name, "only the leader of a session takes a terminal"};
  }
}

// Whether a step of the set-up may fail, so that the parent has to be told. What remains cannot:
// dispositions, mask, umask, name, environment, PR_SET_PDEATHSIG.
bool may_fail(const ChildOptions& options) {
  return options.process_group != ProcessGroup::inherited || options.join_group ||
         options.controlling_terminal || options.cgroup || !options.cpus.empty() ||
         options.nice != 0 || !options.limits.empty() || options.credentials ||
         options.no_new_privs || options.working_directory || !options.redirections.empty() ||
         options.keep_only || ::sigisemptyset(&options.ignored_signals.native()) == 0;
}

std::vector<unsigned long> bits_of(const std::vector<int>& cpus) {
  constexpr std::size_t kWord = std::numeric_limits<unsigned long>::digits;
  constexpr int kMostCpus = 1 << 20;  // far more than any kernel knows: a bound for the memory
  std::vector<unsigned long> bits;
  for (const int cpu : cpus) {
    if (cpu < 0 || cpu >= kMostCpus) throw_errno("sched_setaffinity", std::to_string(cpu), EINVAL);
    const auto index = static_cast<std::size_t>(cpu);
    bits.resize(std::max(bits.size(), index / kWord + 1));
    bits[index / kWord] |= 1UL << index % kWord;
  }
  return bits;
}

// Where execvp(3) would look, without the allocation that it may do in the child.
std::vector<std::string> candidates_for(const std::string& program) {
  if (program.empty() || program.find('/') != std::string::npos) return {program};
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/bin:/usr/bin";
  std::vector<std::string> candidates;
  for (;;) {
    const auto colon = rest.find(':');
    const std::string_view folder = rest.substr(0, colon);
    candidates.push_back(std::string{folder.empty() ? "." : folder} + "/" + program);
    if (colon == std::string_view::npos) return candidates;
    rest.remove_prefix(colon + 1);
  }
}

int run(const std::function<int()>& body, const std::string& name) noexcept {
  const auto complain = [&](const char* what) {
    const std::string line =
        name + (name.empty() ? "" : ": ") + "uncaught exception: " + what + "\n";
    [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, line.data(), line.size());
    return EX_SOFTWARE;
  };
  try {
    return body();
  } catch (const std::exception& error) {
    return complain(error.what());
  } catch (...) {
    return complain("not a std::exception");
  }
}

// Its result is the exit code: clone(2).
int enter_program(void* plan) noexcept {
  const auto& program = *static_cast<const ChildPlan*>(plan);
  if (detail::set_up_child(program)) detail::execute(program);
  return detail::kSetUpFailed;
}

// ThreadSanitizer takes every clone(2) for a fork: a child in shared memory would write its
// beginnings into the books that the sanitizer keeps on us. It turns vfork(2) into fork, too.
constexpr int kShareMemory = detail::kThreadSanitizer ? 0 : CLONE_VM;

constexpr std::size_t kStackSize = 256 * 1024;
constexpr std::chrono::milliseconds kSetUpLimit{5'000};
constexpr std::chrono::milliseconds kFirstLook{10};

bool has_executed(pid_t pid) {
  const auto stat = procpool::detail::read_proc_stat(pid);
  return stat && (stat->flags & procpool::detail::kForkedWithoutExec) == 0;
}

}  // namespace

// The plan of a child, and all that it lends.
class Process::Start {
 public:
  enum class Reports { always, if_a_step_may_fail };

  Start(const char* operation, const ChildOptions& options, Reports reports) {
    require_reapable(operation, options.name);
    require_sense(options);
    const int floor = first_free_of(options.redirections);
    for (const Redirection& redirection : options.redirections) redirect(redirection, floor);

    if (reports == Reports::always || may_fail(options)) open_report(floor);
    plan_.options = &options;
    plan_.parent = ::getpid();
    if (options.keep_only) plan_.keep = everything_kept(options);
    if (options.environment) plan_.environment = pointers_to(*options.environment);
    if (options.cgroup) {
      const std::string members = *options.cgroup + "/cgroup.procs";
      plan_.cgroup_fd = opened_.emplace_back(open_above(members, O_WRONLY, 0, floor)).fd();
      plan_.parents_only.push_back(plan_.cgroup_fd);
    }
    plan_.cpus = bits_of(options.cpus);
  }

  ChildPlan& plan() noexcept { return plan_; }

  // The child is there: nothing of its own stays open here.
  Process adopt(pid_t pid, UniqueFd pidfd) {
    writer_.reset();
    opened_.clear();
    return Process{pid, std::move(pidfd), *plan_.options, std::move(pipes_)};
  }

  // Until the child has said something, ended, or runs its program. The end of the pipe alone does
  // not tell: a child that another thread forks at this moment may hold it open. One that is
  // stopped (SIGSTOP) before is given up, because its parent waits here.
  void await_report(Process& child) {
    if (!reader_.valid()) return;
    const bool is_program = !plan_.programs.empty();
    const Deadline limit = Deadline::in(kSetUpLimit);
    for (auto pause = is_program ? kFirstLook : kSetUpLimit; !limit.expired(); pause *= 2) {
      std::array<pollfd, 2> either{{{reader_.fd(), POLLIN, 0}, {child.fd(), POLLIN, 0}}};
      const int wait = std::min(limit, Deadline::in(pause)).poll_timeout();
      const int ready = ::poll(either.data(), either.size(), wait);
      if (ready < 0 && errno != EINTR) throw_errno("poll", "child set-up");
      if (ready > 0 || (is_program && has_executed(child.pid()))) return;
    }
    child.signal(SIGKILL);
    child.wait();
    throw_errno(is_program ? "exec" : "fork", plan_.options->name, ETIMEDOUT);
  }

  // Reaps the child and throws if one of its steps failed.
  void check(Process& child) {
    if (!reader_.valid()) return;
    const auto failure = detail::read_failure(reader_.fd());
    if (!failure) return;
    child.wait();
    throw_errno(detail::step_name(*failure), detail::step_object(*failure, plan_),
                failure->error_number);
  }

 private:
  void open_report(int floor) {
    auto [reader, writer] = make_pipe_above(floor);
    set_blocking(reader.fd(), Blocking::no);
    plan_.parents_only.push_back(reader.fd());
    plan_.report_fd = writer.fd();
    reader_ = std::move(reader);
    writer_ = std::move(writer);
  }

  void redirect(const Redirection& redirection, int floor) {
    int source = redirection.source;
    if (redirection.kind == Redirection::Kind::file) {
      const auto& [kind, target, fd, path, flags, mode] = redirection;
      source = opened_.emplace_back(open_above(path, flags, mode, floor)).fd();
    } else if (redirection.kind != Redirection::Kind::fd) {
      auto [reader, writer] = make_pipe_above(floor);
      if (redirection.kind == Redirection::Kind::pipe_from_child) std::swap(reader, writer);
      plan_.parents_only.push_back(writer.fd());
      pipes_.push_back({redirection.target, std::move(writer)});
      source = opened_.emplace_back(std::move(reader)).fd();
    }
    if (source != redirection.source) plan_.parents_only.push_back(source);
    plan_.duplicates.emplace_back(source, redirection.target);
  }

  std::vector<int> everything_kept(const ChildOptions& options) const {
    std::vector<int> kept = *options.keep_only;
    for (const Redirection& redirection : options.redirections) kept.push_back(redirection.target);
    kept.push_back(plan_.report_fd);
    std::erase_if(kept, [](int fd) { return fd <= STDERR_FILENO; });
    std::sort(kept.begin(), kept.end());
    kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
    return kept;
  }

  ChildPlan plan_;
  UniqueFd reader_;
  UniqueFd writer_;
  std::vector<UniqueFd> opened_;
  std::vector<Pipe> pipes_;
};

Process Process::fork(const std::function<int()>& body, const ChildOptions& options) {
  Start start{"fork", options, Start::Reports::if_a_step_may_fail};
  pid_t pid = -1;
  {
    const ScopedSignalMask quiet{SignalSet::all()};
    pid = ::fork();
    if (pid == 0) {
      if (!detail::set_up_child(start.plan())) ::_exit(detail::kSetUpFailed);
      detail::report_done(start.plan());
      ::_exit(run(body, options.name));
    }
  }
  if (pid < 0) throw_errno("fork", options.name);
  UniqueFd pidfd;
  try {
    pidfd = open_pidfd(pid);
  } catch (...) {
    // By bare pid, which is still its own: it is our child, and nobody has reaped it.
    ::kill(pid, SIGKILL);
    retry_eintr([&] { return ::waitpid(pid, nullptr, 0); });
    throw;
  }
  Process child = start.adopt(pid, std::move(pidfd));
  start.await_report(child);
  start.check(child);
  return child;
}

Process Process::spawn(const std::vector<std::string>& argv, const ChildOptions& options) {
  if (argv.empty()) throw Error{"exec", options.name, "no program is given"};
  for (const std::string& word : argv) require_text("exec", word);
  ChildOptions named = options;
  if (named.name.empty()) named.name = argv.front();
  Start start{"exec", named, Start::Reports::always};
  const std::vector<std::string> candidates = candidates_for(argv.front());
  ChildPlan& plan = start.plan();
  for (const std::string& candidate : candidates) plan.programs.push_back(candidate.c_str());
  plan.argv = pointers_to(argv);

  // CLONE_VFORK: we go on when it runs its program or has ended. A child with other credentials
  // gets memory of its own: in shared memory its new user might reach into ours, and the change
  // would make us undumpable (commit_creds in the kernel). That user may stop it (SIGSTOP) as well,
  // so we do not sleep in the kernel until it goes on.
  const int sharing = named.credentials ? 0 : kShareMemory | CLONE_VFORK;
  const auto stack = std::make_unique_for_overwrite<std::byte[]>(kStackSize);
  int pidfd = -1;
  pid_t pid = -1;
  {
    const ScopedSignalMask quiet{SignalSet::all()};
    pid = ::clone(&enter_program, stack.get() + kStackSize, sharing | CLONE_PIDFD | SIGCHLD, &plan,
                  &pidfd);
  }
  if (pid < 0) throw_errno("clone", named.name);
  Process child = start.adopt(pid, UniqueFd{pidfd});
  if (named.credentials) start.await_report(child);
  start.check(child);
  return child;
}

std::optional<Process> Process::adopt(pid_t pid, const std::string& name) {
  siginfo_t info{};
  const int flags = WEXITED | WNOHANG | WNOWAIT;
  if (::waitid(P_PID, static_cast<id_t>(pid), &info, flags) != 0) return std::nullopt;
  return Process{pid, open_pidfd(pid), {.name = name}, {}};
}

Process::Process(pid_t pid, UniqueFd pidfd, const ChildOptions& options, std::vector<Pipe> pipes)
    : owner_{::getpid()},
      pid_{pid},
      pidfd_{std::move(pidfd)},
      name_{options.name},
      on_destroy_{options.on_destroy},
      leads_group_{options.process_group != ProcessGroup::inherited},
      pipes_{std::move(pipes)} {}

Process::Process(Process&& other) noexcept
    : owner_{std::exchange(other.owner_, 0)},
      pid_{other.pid_},
      pidfd_{std::move(other.pidfd_)},
      name_{std::move(other.name_)},
      on_destroy_{other.on_destroy_},
      leads_group_{other.leads_group_},
      status_{other.status_},
      usage_{other.usage_},
      pipes_{std::move(other.pipes_)} {}

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    std::destroy_at(this);
    std::construct_at(this, std::move(other));
  }
  return *this;
}

Process::~Process() {
  if (owner_ != ::getpid() || status_) return;
  if (on_destroy_ == OnDestroy::kill_and_wait) {
    if (leads_group_) ::kill(-pid_, SIGKILL);
    ::syscall(SYS_pidfd_send_signal, pidfd_.fd(), SIGKILL, nullptr, 0);
  }
  siginfo_t info;
  retry_eintr([&] { return ::waitid(P_PIDFD, static_cast<id_t>(pidfd_.fd()), &info, WEXITED); });
}

void Process::require_owner(const char* operation) const {
  if (owner_ != ::getpid()) {
    throw Error{operation, name_,
                "not this process's child: it was moved from, or made before fork"};
  }
}

// The status of a child that has ended; blocks or not, and reaps or not, as the flags of waitid(2)
// say.
std::optional<ExitStatus> Process::await_end(int flags, rusage* usage) const {
  siginfo_t info{};
  // The library's form does not give the usage.
  const auto call = [&] {
    return ::syscall(SYS_waitid, P_PIDFD, pidfd_.fd(), &info, WEXITED | flags, usage);
  };
  if (retry_eintr(call) < 0) {
    if (errno != ECHILD) throw_errno("waitid", name_);
    throw Error{"waitid", name_, "somebody else has reaped it, or SIGCHLD is ignored"};
  }
  if (info.si_pid == 0) return std::nullopt;
  return ExitStatus::from_siginfo(info);
}

bool Process::ready() const {
  return status_ || has_ended(pidfd_.fd());
}

ExitStatus Process::wait() {
  return wait_until(Deadline::never()).value();
}

std::optional<ExitStatus> Process::wait_until(Deadline deadline) {
  require_owner("wait");
  if (status_) return status_;
  if (!deadline.is_never() && wait_ready(pidfd_.fd(), POLLIN, deadline) == 0) return std::nullopt;
  rusage usage{};
  status_ = await_end(deadline.is_never() ? 0 : WNOHANG, &usage);
  if (status_) usage_ = usage;
  return status_;
}

std::optional<ExitStatus> Process::peek() const {
  require_owner("peek");
  return status_ ? status_ : await_end(WNOHANG | WNOWAIT, nullptr);
}

bool Process::signal(int signal_number, Recipient recipient) {
  require_owner("signal");
  if (recipient == Recipient::group && !leads_group_) {
    throw Error{"kill", name_, "it was not started as the leader of a process group"};
  }
  if (status_) return false;
  if (recipient == Recipient::process) return send_signal(pidfd_.fd(), signal_number);
  // By number: the child is unreaped, so that neither its pid nor its group can be another's.
  if (::kill(-pid_, signal_number) == 0) return true;
  if (errno != ESRCH) throw_errno("kill", name_);
  return send_signal(pidfd_.fd(), signal_number);
}

bool Process::signal_with_value(int signal_number, int value) {
  require_owner("signal");
  return !status_ && send_signal_with_value(pidfd_.fd(), signal_number, value);
}

void Process::take(const EscalationStep& step, Recipient recipient) {
  signal(step.signal, recipient);
  if (step.signal != SIGKILL) signal(SIGCONT, recipient);
}

ExitStatus Process::stop(const Escalation& escalation, Recipient recipient) {
  require_owner("stop");
  for (const EscalationStep& step : escalation) {
    if (ready()) break;
    take(step, recipient);
    if (wait_ready(pidfd_.fd(), POLLIN, Deadline::in(step.grace)) != 0) break;
  }
  if (recipient == Recipient::group && !status_) {
    wait_ready(pidfd_.fd(), POLLIN, Deadline::never());
    signal(SIGKILL, recipient);
  }
  return wait();
}

UniqueFd& Process::pipe(int target) {
  const auto found = std::find_if(pipes_.begin(), pipes_.end(),
                                  [&](const Pipe& pipe) { return pipe.target == target; });
  if (found == pipes_.end()) throw Error{"pipe", std::to_string(target), "was not redirected so"};
  return found->end;
}

}  // namespace procpool::proc
