// The life of a server's process, around its master.
//
//   int main(int argc, char** argv) {
//     return run_program("procpool-httpd", argc, argv, [](Start& start) { return run(start); });
//   }
//   ... return serve(start, std::move(task), [](auto... parts) { ... return master.run(); });
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "servers/models/hooks.hpp"
#include "servers/models/inheritance.hpp"
#include "servers/program/command_line.hpp"
#include "servers/program/presence.hpp"
#include "servers/program/start.hpp"

namespace procpool::program {

// What is to be served.
template <typename Service>
struct Task {
  std::string pid_file;      // empty: none
  CommandLine command_line;  // with its configuration file
  Service service;
  std::function<Service()> reload;                                 // see models::Hooks
  std::function<void(const std::vector<net::Address>&)> announce;  // it serves
};

// Runs `main` with what the process was started with. An exception is told on standard error, and
// to the master before, if there is one; the exit status is 2 for an OptionsError, and else 1.
int run_program(const std::string& program, int argc, char** argv,
                const std::function<int(Start&)>& main);

// In the background: `serve` is called there, with what to call when it serves. Throws
// OptionsError: an error log that nobody would see.
int serve_as_daemon(const std::string& program, const std::string& error_log, const Start& start,
                    const std::function<int(const std::function<void()>& on_ready)>& serve);

// What stands in a configuration file; empty: no path is given. Throws OptionsError.
std::string read_config(const std::string& path);

// `run_master(service, hooks, inheritance, predecessor)` makes the master and runs it; returns its
// exit code. The pid file is kept, and reloads and upgrades are recorded beside it. Throws Error.
template <typename Service, typename RunMaster>
int serve(
    Start& start, Task<Service> task, const RunMaster& run_master,
    const std::function<void()>& on_ready = [] {}) {
  const CommandLine& given = task.command_line;
  std::string config =  // what is in use
      given.config_text ? *given.config_text : read_config(given.config);
  std::string next_config = config;
  models::Inheritance inheritance = inherit(start, task.service.listen);
  Presence presence{task.pid_file, std::move(inheritance.pid_file), start.predecessor};
  raise_descriptor_limit();
  models::Hooks<Service> hooks;
  hooks.reload = [&] {
    presence.begin_change();
    next_config = read_config(task.command_line.config);
    return task.reload();
  };
  hooks.on_serving = [&](const std::vector<net::Address>& addresses) {
    presence.begin();
    task.announce(addresses);
    on_ready();
  };
  hooks.on_reloaded = [&](const std::string& problem) {
    if (problem.empty()) config = next_config;
    presence.finish_change(problem);
  };
  hooks.upgrade = [&] {
    presence.begin_change();
    std::vector<std::string> trial = start.argv;
    trial.emplace_back("--check");
    return models::NextProgram{.argv = start.argv,
                               .environment = start.environment,
                               .pid_file = presence.fd(),
                               .trial = std::move(trial),
                               .configuration = config};
  };
  hooks.on_upgraded = [&](const std::string& problem) {
    problem.empty() ? presence.leave() : presence.stay(problem);
  };
  hooks.manager = start.manager;
  return run_master(std::move(task.service), std::move(hooks), std::move(inheritance),
                    start.predecessor ? &*start.predecessor : nullptr);
}

}  // namespace procpool::program
