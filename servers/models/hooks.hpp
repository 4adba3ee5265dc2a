// What a program learns and decides while its master runs.
//
//   Hooks<Service> hooks{.reload = [&] { return make_service(load_options(file)); }};
//   hooks.on_serving = [](const std::vector<net::Address>& addresses) { announce(addresses); };
//   Prefork master{service, hooks};
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "proc/notifier.hpp"
#include "servers/models/inheritance.hpp"
#include "servers/net/address.hpp"

namespace procpool::models {

// `Service` is what a master serves: a value, of which a reload makes a new one. All run in the
// master.
template <typename Service>
struct Hooks {
  // The service to run with from now on, for HUP. Throws Error: nothing changes, and the reason is
  // logged.
  std::function<Service()> reload;

  // It serves: the addresses, with the ports that the kernel chose.
  std::function<void(const std::vector<net::Address>&)> on_serving{};

  // A reload is over: why it failed, or empty. In a program that was executed in place (by process
  // 1), after on_serving: the upgrade to it is over; or the one from it, which failed. Must not
  // throw.
  std::function<void(const std::string& problem)> on_reloaded{};

  // For USR2, which is refused without it. Throws Error: as for reload.
  std::function<NextProgram()> upgrade{};

  // An upgrade is over: why it failed, or empty: the pid file and what else there is one of on the
  // system are the new program's. Must not throw.
  std::function<void(const std::string& problem)> on_upgraded{};

  // How a service manager is kept informed, sd_notify(3), and its watchdog quiet.
  proc::Notifier manager{};
};

}  // namespace procpool::models
