#include "servers/program/serve.hpp"

#include <exception>
#include <filesystem>
#include <iostream>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "proc/daemon.hpp"
#include "servers/program/setting.hpp"

namespace procpool::program {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitBadUsage = 2;

int run_or_decline(Start& start, const std::function<int(Start&)>& main) {
  try {
    if (start.predecessor) start.inheritance = start.predecessor->take();
    return main(start);
  } catch (const std::exception& error) {
    if (start.predecessor) start.predecessor->decline(error.what());
    throw;
  }
}

}  // namespace

int run_program(const std::string& program, int argc, char** argv,
                const std::function<int(Start&)>& main) {
  try {
    open_missing_standard_descriptors();
    Start start = take_start(argc, argv);
    return run_or_decline(start, main);
  } catch (const OptionsError& error) {
    std::cerr << program << ": " << error.what() << '\n';
    return kExitBadUsage;
  } catch (const std::exception& error) {
    std::cerr << program << ": " << error.what() << '\n';
    return kExitFailed;
  }
}

std::string read_config(const std::string& path) {
  try {
    return path.empty() ? std::string{} : read_file(path);
  } catch (const Error& error) {
    throw OptionsError{error};
  }
}

int serve_as_daemon(const std::string& program, const std::string& error_log, const Start& start,
                    const std::function<int(const std::function<void()>& on_ready)>& serve) {
  if (error_log == "-")
    throw OptionsError{"option", "--daemon", "needs --error-log FILE: it has no terminal"};
  std::vector<int> keep;
  keep.reserve(start.activated.size());
  for (const proc::ActivatedDescriptor& passed : start.activated) keep.push_back(passed.fd.fd());
  const proc::DaemonStart result =
      proc::daemonize({.name = program,
                       .working_directory = std::filesystem::current_path(),
                       .log = error_log,
                       .keep = std::move(keep)},
                      [&](proc::Daemon& daemon) { return serve([&] { daemon.ready(); }); });
  if (!result.message.empty()) std::cerr << program << ": " << result.message << std::endl;
  return result.exit_code;
}

}  // namespace procpool::program
