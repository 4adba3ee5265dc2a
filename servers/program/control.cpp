#include "servers/program/control.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <system_error>

#include "ipc/base/deadline.hpp"
#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/process_id.hpp"
#include "ipc/base/unique_fd.hpp"
#include "proc/pid_file.hpp"
#include "servers/program/reload_record.hpp"

namespace procpool::program {
namespace {

using namespace std::chrono_literals;

// New workers have ten seconds to get ready, a new master has a minute.
constexpr auto kPatience = 90s;

struct Server {
  pid_t pid;
  UniqueFd pidfd;

  std::string name() const { return "process " + std::to_string(pid); }
};

// It holds the file before and after it was opened: so it is that process, and no later one with
// its number.
std::optional<Server> find_server(const std::string& pid_file) {
  const auto pid = proc::read_pid_file(pid_file);
  if (!pid) return std::nullopt;
  try {
    Server server{*pid, open_pidfd(*pid)};
    if (proc::read_pid_file(pid_file) == pid) return server;
  } catch (const Error& error) {
    if (error.code() != std::errc::no_such_process) throw;
  }
  return std::nullopt;
}

ControlResult not_running(const std::string& pid_file) {
  return {kExitNotRunning, "nothing is running: no process holds " + pid_file};
}

ControlResult ended_meanwhile(const Server& server) {
  return {1, server.name() + " has ended before it was done"};
}

UniqueFd watch_folder_of(const std::string& path) {
  UniqueFd watch{::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
  if (!watch.valid()) throw_errno("inotify_init1");
  const std::string folder = std::filesystem::absolute(path).parent_path();
  if (::inotify_add_watch(watch.fd(), folder.c_str(), IN_MOVED_TO) < 0)
    throw_errno("inotify_add_watch", folder);
  return watch;
}

// Until something was moved into the folder, or the server has ended. False: the time is over.
bool await_change(const UniqueFd& watch, const Server& server, Deadline deadline) {
  std::array<pollfd, 2> both{{{watch.fd(), POLLIN, 0}, {server.pidfd.fd(), POLLIN, 0}}};
  if (deadline.expired()) return false;
  if (retry_eintr([&] { return ::poll(both.data(), both.size(), deadline.poll_timeout()); }) < 0) {
    throw_errno("poll");
  }
  alignas(inotify_event) std::array<char, 4096> events;
  while (::read(watch.fd(), events.data(), events.size()) > 0) continue;
  return true;
}

// Given the record if it tells of an end that came later than the signal; empty: not that one.
using SuccessText = std::function<std::string(const Server&, const std::optional<Reloads>&)>;

// Sends the signal, and looks at what has come of it until that is known.
ControlResult change_server(const std::string& pid_file, const std::string& operation,
                            int signal_number, const SuccessText& success_of) {
  const auto server = find_server(pid_file);
  if (!server) return not_running(pid_file);
  const UniqueFd watch = watch_folder_of(pid_file);
  const auto before = read_reload_record(pid_file);
  if (!before) throw Error{operation, pid_file, "its process keeps no record of reloads"};
  if (!send_signal(server->pidfd.fd(), signal_number)) return ended_meanwhile(*server);

  const Deadline deadline = Deadline::in(kPatience);
  for (;;) {
    auto finished = read_reload_record(pid_file);
    if (finished && (finished->finished <= before->begun || finished->finished < finished->begun))
      finished.reset();
    if (const std::string success = success_of(*server, finished); !success.empty())
      return {0, success};
    if (finished) return {1, "nothing has changed: " + finished->problem};
    if (has_ended(server->pidfd.fd())) return ended_meanwhile(*server);
    if (!await_change(watch, *server, deadline))
      return {1, server->name() + " tells no result of its " + operation};
  }
}

}  // namespace

ControlResult server_status(const std::string& pid_file) {
  const auto server = find_server(pid_file);
  if (!server) return not_running(pid_file);
  const std::string text = server->name() + " is running";
  const auto reloads = read_reload_record(pid_file);
  if (!reloads || reloads->begun == 0) return {0, text};
  if (reloads->begun > reloads->finished) return {0, text + ", and reloading"};
  return {0, text + ", its last reload " +
                 (reloads->problem.empty() ? "succeeded" : "failed: " + reloads->problem)};
}

ControlResult reload_server(const std::string& pid_file) {
  return change_server(pid_file, "reload", SIGHUP,
                       [](const Server& server, const std::optional<Reloads>& finished) {
                         const bool succeeded = finished && finished->problem.empty();
                         return succeeded ? server.name() + " has reloaded" : std::string{};
                       });
}

ControlResult upgrade_server(const std::string& pid_file) {
  return change_server(pid_file, "upgrade", SIGUSR2,
                       [&](const Server& server, const std::optional<Reloads>& finished) {
                         const auto holder = proc::read_pid_file(pid_file);
                         if (finished && finished->problem.empty() && holder == server.pid)
                           return server.name() + " runs the new program";
                         return holder && *holder != server.pid
                                    ? "process " + std::to_string(*holder) +
                                          " has taken over from " + server.name()
                                    : std::string{};
                       });
}

ControlResult stop_server(const std::string& pid_file) {
  const auto server = find_server(pid_file);
  if (!server) return not_running(pid_file);
  if (send_signal(server->pidfd.fd(), SIGTERM)) {
    wait_ready(server->pidfd.fd(), POLLIN, Deadline::never());
  }
  return {0, server->name() + " has ended"};
}

}  // namespace procpool::program
