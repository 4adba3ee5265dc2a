#include "tools/command_line.hpp"

#include <signal.h>

#include <exception>
#include <iostream>

#include <CLI/CLI.hpp>

namespace procpool::demo {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitBadUsage = 2;

}  // namespace

int run_tool(int argc, char** argv, const std::string& name, const std::string& overview,
             const std::function<void(CLI::App&, Action&)>& define) {
  ::signal(SIGPIPE, SIG_IGN);
  try {
    CLI::App app{overview};
    app.name(name);
    app.set_help_flag("-h,--help", "show this and end");
    app.set_version_flag("--version", name + " " PROCPOOL_VERSION, "show the version and end");
    app.require_subcommand(0, 1);
    const Action show_overview = [&] {
      std::cout << overview << std::flush;
      return 0;
    };
    Action action = show_overview;
    define(app, action);
    try {
      app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
      if (app.get_subcommands().empty()) return show_overview();
      std::cout << app.help() << std::flush;
      return 0;
    } catch (const CLI::CallForVersion& version) {
      std::cout << version.what() << std::endl;
      return 0;
    } catch (const CLI::ParseError& error) {
      std::cerr << name << ": " << error.what() << '\n';
      return kExitBadUsage;
    }
    return action();
  } catch (const std::exception& error) {
    std::cerr << name << ": " << error.what() << '\n';
    return kExitFailed;
  }
}

}  // namespace procpool::demo
