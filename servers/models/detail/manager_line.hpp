// A master's line to the service manager that started it: what cannot be told ends no master.
//
//   ManagerLine manager{loop, notifier, [&](const std::string& problem) { log->warn(problem); }};
//   manager.tell([](proc::Notifier& to) { to.ready(); });
#pragma once

#include <exception>
#include <functional>
#include <string>
#include <utility>

#include "ipc/base/loop.hpp"
#include "proc/notifier.hpp"

namespace procpool::models::detail {

// Keeps the manager's watchdog quiet, too, as long as the loop turns. For the loop's thread.
class ManagerLine {
 public:
  using Complaint = std::function<void(const std::string&)>;
  ManagerLine(Loop& loop, proc::Notifier manager, Complaint complain)
      : manager_{std::move(manager)},
        complain_{std::move(complain)},
        timer_{loop, [this] { keep_calm(); }} {}

  void tell(const std::function<void(proc::Notifier&)>& message) {
    try {
      message(manager_);
    } catch (const std::exception& error) {
      complain_(error.what());
    }
  }

  // From now on.
  void keep_calm() {
    const auto interval = manager_.watchdog_interval();
    if (!interval) return;
    tell([](proc::Notifier& manager) { manager.keep_alive(); });
    timer_.set(Deadline::in(*interval / 2));
  }

 private:
  proc::Notifier manager_;
  Complaint complain_;
  Loop::Timer timer_;
};

}  // namespace procpool::models::detail
