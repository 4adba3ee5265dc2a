// What the command lines of all tools have in common: help, version, refusals and exit codes.
//
//   return run_tool(argc, argv, "ipc-demo", overview(), [](CLI::App& app, Action& action) {
//     app.add_subcommand("ls")->callback([&] { action = list_segments; });
//   });
#pragma once

#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace procpool::demo {

using Action = std::function<int()>;  // its result is the exit code

// The whole of a main function. `define` adds options and subcommands, and these say by their
// call-backs which action it is; else it is to print the overview, which is also the help of the
// tool. The exit code is the action's, 1 when it throws, 2 for wrong usage: one line says why then.
// A write that nobody reads is an Error and not SIGPIPE.
int run_tool(int argc, char** argv, const std::string& name, const std::string& overview,
             const std::function<void(CLI::App&, Action&)>& define);

}  // namespace procpool::demo
