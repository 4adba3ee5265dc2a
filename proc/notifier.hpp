// What a service tells the service manager that started it: sd_notify(3), by its datagrams.
//
//   Notifier manager = Notifier::from_environment();     // at the top of main
//   manager.ready("4 workers");                          // no manager listens: nothing happens
//   if (auto every = manager.watchdog_interval()) timer.every(*every / 2);
//   ... each time: manager.keep_alive();
//   manager.reloading(); ... manager.ready();   manager.stopping();
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace procpool::proc {

// The address of a service manager's socket, or of nothing. A value; it may be used after fork, but
// a manager hears only whom it was told to (NotifyAccess=, systemd.service(5)). Each call sends one
// datagram and waits 5 s at most while the manager's queue is full. They return false if nobody
// heard it: there is no manager, it is gone, or it does not read; a service goes on without.
class Notifier {
 public:
  // Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment, so that children
  // do not speak for this process: before other threads start, setenv(3). Throws Error when one of
  // them says nothing that can be meant.
  static Notifier from_environment();

  // A path, or an abstract name with '@' before it, unix(7). Throws Error: it is neither, or too
  // long.
  explicit Notifier(std::string address);
  Notifier() = default;  // nobody listens

  bool listening() const noexcept { return !address_.empty(); }

  // Each may say what the service does, for people: one line. Throws Error: it is more than one.
  bool ready(std::string_view status = {});      // start-up or reload is done
  bool reloading(std::string_view status = {});  // until ready(); with the moment it began
  bool stopping(std::string_view status = {});
  bool status(std::string_view text);
  bool main_process(pid_t pid);  // another process is the service now: MAINPID

  bool keep_alive();        // the watchdog starts anew
  bool trigger_watchdog();  // something is so wrong that the manager should act as if it had bitten

  // After so long without keep_alive() the manager takes the service for hung; nullopt: it does not
  // watch this process. Half of it is a good time between two: sd_watchdog_enabled(3).
  std::optional<std::chrono::microseconds> watchdog_interval() const noexcept { return watchdog_; }

 private:
  bool send(std::string state, std::string_view status = {});

  std::string address_;  // as sockaddr_un has it: '\0' before an abstract name
  std::optional<std::chrono::microseconds> watchdog_;
};

}  // namespace procpool::proc
