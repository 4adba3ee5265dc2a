#include "proc/daemon.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <filesystem>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/codec.hpp"
#include "proc/detail/move_above.hpp"
#include "proc/pid_file.hpp"
#include "proc/process.hpp"
#include "proc/signal_action.hpp"

namespace procpool::proc {
namespace {

// What the launcher is told: by the daemon that it has started and one of the others, by the
// process in between that it has failed.
struct Word {
  enum class Kind { started, ready, failed };

  Kind kind;
  int exit_code = 0;      // failed
  ProcessId process{};    // started
  std::string message{};  // failed
};

}  // namespace
}  // namespace procpool::proc

template <>
struct procpool::ipc::Codec<procpool::proc::Word> {
  struct Head {
    proc::Word::Kind kind;
    int exit_code;
    ProcessId process;
  };
  static void encode(const proc::Word& word, std::vector<std::byte>& out) {
    Codec<Head>::encode({word.kind, word.exit_code, word.process}, out);
    Codec<std::string>::encode(word.message, out);
  }
  static proc::Word decode(std::span<const std::byte> bytes) {
    const std::size_t size = std::min(bytes.size(), sizeof(Head));
    const Head head = Codec<Head>::decode(bytes.first(size));
    return {head.kind, head.exit_code, head.process,
            Codec<std::string>::decode(bytes.subspan(size))};
  }
};

namespace procpool::proc {
namespace {

constexpr int kFirstOther = 3;  // after stdin, stdout, stderr

ipc::Channel aside(ipc::Channel channel) {
  return ipc::Channel{detail::move_above(channel.release(), kFirstOther)};
}

DaemonStart failure(int exit_code, std::string message) {
  return {.exit_code = exit_code, .message = std::move(message)};
}

void kill_and_await(const ProcessId& process) {
  UniqueFd pidfd;
  try {
    pidfd = open_pidfd(process.pid);
  } catch (const Error& error) {
    if (error.code().value() == ESRCH) return;  // it has ended
    throw;
  }
  if (ProcessId::of(process.pid) != process) return;
  send_signal(pidfd.fd(), SIGKILL);
  wait_ready(pidfd.fd(), POLLIN, Deadline::never());
}

}  // namespace

// One daemonize(): the launcher, the process in between, and the daemon. The one in between is the
// daemon's parent, and so the one that learns how it ended if it was not ready; when the launcher
// has what it waits for, it ends the one in between, and the daemon is an orphan.
class Launch {
 public:
  Launch(const DaemonOptions& options, const std::function<int(Daemon&)>& body)
      : options_{options}, body_{body} {
    auto [left, right] = ipc::make_channel();
    launcher_ = aside(std::move(left));
    theirs_ = aside(std::move(right));
    // "/" is not what the path is relative to.
    if (options.pid_file) pid_file_ = std::filesystem::absolute(*options.pid_file);
  }

  DaemonStart carry_out() {
    // The launcher may have inherited that it ignores its children.
    const ScopedSignalAction heard{SIGCHLD, SIG_DFL};
    Process between =
        Process::fork([&] { return run_between(); }, {.name = options_.name,
                                                      .process_group = ProcessGroup::session,
                                                      .on_destroy = OnDestroy::kill_and_wait});
    theirs_.close();
    const Deadline deadline = Deadline::in(options_.ready_within);
    std::optional<DaemonStart> start = await_verdict(deadline);
    // One that has failed is about to end, and the one in between with it.
    if (start && !start->process) between.wait_until(deadline);
    between.stop({{SIGKILL, kForever}});
    if (!start) start = last_word();
    if (!start->process && daemon_) kill_and_await(*daemon_);
    return *start;
  }

 private:
  // In the launcher.

  // Nullopt: it has none until the deadline.
  std::optional<DaemonStart> await_verdict(Deadline deadline) {
    for (;;) {
      auto received = launcher_.receive_until<Word>(deadline);
      if (received.outcome == ipc::Channel::Outcome::empty) return std::nullopt;
      if (received.outcome == ipc::Channel::Outcome::closed) {
        return failure(1, named("was killed before it was ready"));
      }
      if (auto start = judge(*received.value)) return start;
    }
  }

  // The one in between is dead, and it is too late but for what was said in time. If it had forked
  // a daemon that has not spoken yet, this waits for its first word, which tells whom to kill.
  DaemonStart last_word() {
    DaemonStart too_late = failure(1, named("was not ready in time"));
    const Deadline first_word = Deadline::in(std::chrono::seconds{5});
    while (!daemon_) {
      const auto word = launcher_.receive_until<Word>(first_word).value;
      if (!word) return too_late;
      if (auto start = judge(*word)) return *start;
    }
    return await_verdict(Deadline::now()).value_or(std::move(too_late));
  }

  std::optional<DaemonStart> judge(const Word& word) {
    switch (word.kind) {
      case Word::Kind::started:
        daemon_ = word.process;
        return std::nullopt;
      case Word::Kind::ready:
        return DaemonStart{.process = daemon_};
      case Word::Kind::failed:
        return failure(word.exit_code, word.message);
    }
    return std::nullopt;
  }

  std::string named(const std::string& fate) const {
    return (options_.name.empty() ? "the daemon" : options_.name) + " " + fate;
  }

  // In the process in between.

  int run_between() {
    launcher_.close();
    try {
      const ExitStatus status = start_daemon().wait();
      tell({.kind = Word::Kind::failed,
            .exit_code = status.success() ? 1 : status.code().value_or(1),
            .message = named(status.code() ? status.text() : "was " + status.text()) +
                       " before it was ready"});
    } catch (const Error& error) {
      tell({.kind = Word::Kind::failed, .exit_code = 1, .message = error.what()});
    }
    return 0;
  }

  Process start_daemon() {
    std::vector<int> keep = options_.keep;
    keep.push_back(theirs_.fd());
    return Process::fork([&] { return run_daemon(); },
                         // A group of its own: not that of the process in between, which is killed.
                         {.name = options_.name,
                          .process_group = ProcessGroup::own,
                          .umask = options_.umask,
                          .working_directory = options_.working_directory,
                          .redirections = {Redirection::null(STDIN_FILENO),
                                           Redirection::file(STDOUT_FILENO, options_.log,
                                                             O_WRONLY | O_CREAT | O_APPEND, 0640),
                                           Redirection::fd(STDERR_FILENO, STDOUT_FILENO)},
                          .keep_only = keep});
  }

  void tell(const Word& word) { theirs_.send(word); }

  // In the daemon.

  int run_daemon() {
    tell({.kind = Word::Kind::started, .process = ProcessId::self()});
    Daemon daemon{std::move(theirs_)};
    try {
      std::optional<PidFile> pid_file;
      if (pid_file_) pid_file.emplace(*pid_file_);
      if (options_.credentials) options_.credentials->assume();
      return body_(daemon);
    } catch (const std::exception& error) {
      daemon.fail(error.what());
      throw;
    }
  }

  const DaemonOptions& options_;
  const std::function<int(Daemon&)>& body_;
  std::optional<std::string> pid_file_;
  ipc::Channel launcher_{UniqueFd{}};
  ipc::Channel theirs_{UniqueFd{}};
  std::optional<ProcessId> daemon_;
};

void Daemon::ready() {
  if (launcher_.fd() < 0) return;
  launcher_.send(Word{.kind = Word::Kind::ready});
  launcher_.close();
}

int Daemon::fail(std::string_view message, int exit_code) {
  if (launcher_.fd() < 0) return exit_code;
  launcher_.send(
      Word{.kind = Word::Kind::failed, .exit_code = exit_code, .message = std::string{message}});
  launcher_.close();
  return exit_code;
}

DaemonStart daemonize(const DaemonOptions& options, const std::function<int(Daemon&)>& body) {
  return Launch{options, body}.carry_out();
}

}  // namespace procpool::proc
