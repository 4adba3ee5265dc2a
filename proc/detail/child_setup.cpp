#include "proc/detail/child_setup.hpp"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::proc::detail {
namespace {

constexpr int kFirstOther = 3;  // after stdin, stdout, stderr

bool is_program(const ChildPlan& plan) noexcept {
  return !plan.programs.empty();
}

// Each step says false, with errno set, if it failed. None of them allocates.

bool set_signal_actions(const ChildPlan& plan) noexcept {
  struct sigaction action{};
  for (int number = 1; number < NSIG; ++number) {
    const bool ignored = plan.options->ignored_signals.contains(number);
    action.sa_handler = ignored ? SIG_IGN : SIG_DFL;
    // SIGKILL, SIGSTOP and the library's own refuse the default; they are as they should be.
    if (::sigaction(number, &action, nullptr) != 0 && ignored) return false;
  }
  return true;
}

bool enter_process_group(const ChildPlan& plan) noexcept {
  if (plan.options->join_group) return ::setpgid(0, *plan.options->join_group) == 0;
  switch (plan.options->process_group) {
    case ProcessGroup::inherited:
      return true;
    case ProcessGroup::own:
      return ::setpgid(0, 0) == 0;
    case ProcessGroup::session:
      return ::setsid() >= 0;
  }
  return true;
}

bool take_terminal(const ChildPlan& plan) noexcept {
  const auto& terminal = plan.options->controlling_terminal;
  return !terminal || ::ioctl(*terminal, TIOCSCTTY, 0) == 0;
}

bool enter_cgroup(const ChildPlan& plan) noexcept {
  return plan.cgroup_fd < 0 || ::write(plan.cgroup_fd, "0", 1) == 1;  // 0: the one that writes
}

// After the cgroup, which may change them: cpuset(7).
bool set_cpus(const ChildPlan& plan) noexcept {
  const std::size_t size = plan.cpus.size() * sizeof plan.cpus.front();
  return size == 0 || ::syscall(SYS_sched_setaffinity, 0, size, plan.cpus.data()) == 0;
}

bool set_limits(const ChildPlan& plan) noexcept {
  for (const ResourceLimit& limit : plan.options->limits) {
    const rlimit value{.rlim_cur = limit.soft, .rlim_max = limit.hard};
    if (::setrlimit(static_cast<__rlimit_resource>(limit.resource), &value) != 0) return false;
  }
  return true;
}

bool add_nice(const ChildPlan& plan) noexcept {
  if (plan.options->nice == 0) return true;
  errno = 0;
  return ::nice(plan.options->nice) != -1 || errno == 0;
}

bool set_umask(const ChildPlan& plan) noexcept {
  if (plan.options->umask) ::umask(*plan.options->umask);
  return true;
}

bool set_groups(const ChildPlan& plan) noexcept {
  const auto& who = plan.options->credentials;
  return !who || ::syscall(SYS_setgroups, who->groups.size(), who->groups.data()) == 0;
}

bool set_group(const ChildPlan& plan) noexcept {
  const auto& who = plan.options->credentials;
  return !who || ::syscall(SYS_setresgid, who->gid, who->gid, who->gid) == 0;
}

bool set_user(const ChildPlan& plan) noexcept {
  const auto& who = plan.options->credentials;
  return !who || ::syscall(SYS_setresuid, who->uid, who->uid, who->uid) == 0;
}

bool renounce_privileges(const ChildPlan& plan) noexcept {
  return !plan.options->no_new_privs || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

bool change_directory(const ChildPlan& plan) noexcept {
  const auto& directory = plan.options->working_directory;
  return !directory || ::chdir(directory->c_str()) == 0;
}

// After the last change of credentials, which clears it: prctl(2).
bool die_with_parent(const ChildPlan& plan) noexcept {
  if (!plan.options->die_with_parent) return true;
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return false;
  // Had it died before, no signal would come.
  if (::getppid() != plan.parent) ::kill(::getpid(), SIGKILL);
  return true;
}

bool redirect(const ChildPlan& plan) noexcept {
  for (const auto& [source, target] : plan.duplicates) {
    const int done = source == target ? ::fcntl(target, F_SETFD, 0) : ::dup2(source, target);
    if (done < 0) return false;
  }
  return true;
}

bool close_range(int first, int last) noexcept {
  return first > last || ::syscall(SYS_close_range, first, last, 0) == 0;
}

// What is kept passes exec; the report pipe must not.
bool survives_exec(int fd, const ChildPlan& plan) noexcept {
  return fd == plan.report_fd || ::fcntl(fd, F_SETFD, 0) == 0;
}

bool close_descriptors(const ChildPlan& plan) noexcept {
  for (const int fd : plan.parents_only) ::close(fd);
  if (!plan.keep) return true;
  int next = kFirstOther;
  for (const int kept : *plan.keep) {
    if (!close_range(next, kept - 1)) return false;
    if (is_program(plan) && !survives_exec(kept, plan)) return false;
    next = kept + 1;
  }
  return ::syscall(SYS_close_range, next, ~0U, 0) == 0;
}

bool set_signal_mask(const ChildPlan& plan) noexcept {
  return ::pthread_sigmask(SIG_SETMASK, &plan.options->blocked_signals.native(), nullptr) == 0;
}

// exec would replace it by the program's.
bool set_name(const ChildPlan& plan) noexcept {
  const std::string& name = plan.options->name;
  return name.empty() || ::prctl(PR_SET_NAME, name.c_str()) == 0;
}

bool set_environment(const ChildPlan& plan) noexcept {
  if (plan.environment && !is_program(plan))
    ::environ = const_cast<char**>(plan.environment->data());
  return true;
}

struct Step {
  const char* name;
  bool (*run)(const ChildPlan&) noexcept;
};

constexpr std::array kSteps{
    Step{"sigaction", &set_signal_actions},
    Step{"setpgid", &enter_process_group},
    Step{"ioctl(TIOCSCTTY)", &take_terminal},
    Step{"cgroup", &enter_cgroup},
    Step{"sched_setaffinity", &set_cpus},
    Step{"setrlimit", &set_limits},
    Step{"nice", &add_nice},
    Step{"umask", &set_umask},
    Step{"setgroups", &set_groups},
    Step{"setresgid", &set_group},
    Step{"setresuid", &set_user},
    Step{"prctl(PR_SET_NO_NEW_PRIVS)", &renounce_privileges},
    Step{"chdir", &change_directory},
    Step{"prctl(PR_SET_PDEATHSIG)", &die_with_parent},
    Step{"dup2", &redirect},
    Step{"close_range", &close_descriptors},
    Step{"prctl(PR_SET_NAME)", &set_name},
    Step{"environ", &set_environment},
    Step{"sigmask", &set_signal_mask},
};
constexpr int kExec = static_cast<int>(kSteps.size());

void write_report(const ChildPlan& plan, const Report& report) noexcept {
  // Nobody is left to be told if this does not arrive.
  [[maybe_unused]] const ssize_t n = ::write(plan.report_fd, &report, sizeof report);
}

}  // namespace

bool set_up_child(const ChildPlan& plan) noexcept {
  for (std::size_t step = 0; step < kSteps.size(); ++step) {
    if (kSteps[step].run(plan)) continue;
    write_report(plan, {.step = static_cast<int>(step), .error_number = errno});
    return false;
  }
  return true;
}

void report_done(const ChildPlan& plan) noexcept {
  if (plan.report_fd < 0) return;
  write_report(plan, {.step = 0, .error_number = 0});
  ::close(plan.report_fd);
}

void execute(const ChildPlan& plan) noexcept {
  char* const* environment = plan.environment ? plan.environment->data() : ::environ;
  int error = ENOENT;
  for (const char* program : plan.programs) {
    ::execve(program, plan.argv.data(), environment);
    // As execvp(3): what is not there or not allowed may be elsewhere in the path.
    if (errno == EACCES) error = EACCES;
    if (errno != EACCES && errno != ENOENT && errno != ENOTDIR) {
      error = errno;
      break;
    }
  }
  write_report(plan, {.step = kExec, .error_number = error});
}

std::optional<Report> read_failure(int reader) {
  Report report{};
  const ssize_t n = retry_eintr([&] { return ::read(reader, &report, sizeof report); });
  if (n < 0 && errno != EAGAIN) throw_errno("read", "child set-up");
  // A report is one write of less than PIPE_BUF: it comes whole.
  if (n < static_cast<ssize_t>(sizeof report) || report.error_number == 0) return std::nullopt;
  return report;
}

const char* step_name(const Report& failure) noexcept {
  return failure.step == kExec ? "exec" : kSteps[static_cast<std::size_t>(failure.step)].name;
}

std::string step_object(const Report& failure, const ChildPlan& plan) {
  if (failure.step == kExec) return plan.argv.front();
  const auto run = kSteps[static_cast<std::size_t>(failure.step)].run;
  if (run == &change_directory) return *plan.options->working_directory;
  if (run == &enter_cgroup) return *plan.options->cgroup;
  if (run == &set_groups || run == &set_group || run == &set_user) {
    return plan.options->credentials->user;
  }
  return plan.options->name;
}

}  // namespace procpool::proc::detail
