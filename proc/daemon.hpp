// Programs that go to the background, and say there whether they could.
//
//   int main() {
//     const DaemonStart start = daemonize({.pid_file = "/run/x.pid"}, [](Daemon& daemon) {
//       Server server;                                    // an exception: the launcher tells it
//       daemon.ready();                                   // from here on the launcher is gone
//       return server.run();
//     });
//     if (!start.message.empty()) std::cerr << start.message << '\n';
//     return start.exit_code;
//   }
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ipc/base/process_id.hpp"
#include "ipc/channel.hpp"
#include "proc/credentials.hpp"
#include "proc/escalation.hpp"

namespace procpool::proc {

// A value. stdin is /dev/null.
struct DaemonOptions {
  std::string name{};  // for messages; also the name that ps(1) shows
  // PidFile, held until the body returns; the user of the credentials may not be able to remove it.
  std::optional<std::string> pid_file{};
  std::string working_directory = "/";
  mode_t umask = 022;
  std::string log = "/dev/null";             // stdout and stderr are appended to it
  std::vector<int> keep{};                   // descriptors, of which all others are closed
  std::optional<Credentials> credentials{};  // taken on when the pid file and the log are open
  std::chrono::milliseconds ready_within = kForever;  // else it is killed
};

// What the body of a daemon says to the launcher. For one thread of the daemon itself; a child of
// fork must not use it. What is said when the launcher is gone, is said to nobody.
class Daemon {
 public:
  // It works: the launcher returns exit code 0. What is said after the first word, is not heard.
  void ready();

  // It does not work: the launcher waits for the daemon's end, and returns the message and the exit
  // code. Gives the code back, for `return daemon.fail("port 80 is in use", 2);`.
  int fail(std::string_view message, int exit_code = 1);

 private:
  friend class Launch;
  explicit Daemon(ipc::Channel launcher) noexcept : launcher_{std::move(launcher)} {}

  ipc::Channel launcher_;
};

// What became of it.
struct DaemonStart {
  int exit_code = 0;                   // what the launcher should exit with. 0: it is ready
  std::string message{};               // why it is not
  std::optional<ProcessId> process{};  // the daemon, if it is ready
};

// Forks twice, and runs the body in the second process: it is in a session of its own without a
// terminal, which it does not lead, so that it gets none (daemon(7), "SysV daemons"); signals are
// as in any child of Process. The pid file is locked in that process, by its own pid. The body's
// result is the daemon's exit code, after which it ends in _exit(2).
//
// Returns in the launcher only, when the daemon
// - is ready;
// - has failed: an Error of its set-up (pid file held: which process holds it), fail(), or an
//   exception of the body;
// - has ended before it was ready: its exit code, or 1 if a signal killed it, which the message
// says;
// - was not ready in time.
// But for the first, no daemon is left then: one that has not ended in time is killed.
// Throws Error only if nothing could be started. For a process without other threads, like fork(2).
DaemonStart daemonize(const DaemonOptions& options, const std::function<int(Daemon&)>& body);

}  // namespace procpool::proc
