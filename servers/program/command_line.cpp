#include "servers/program/command_line.hpp"

#include <iostream>

#include "servers/program/control.hpp"

namespace procpool::program {
namespace {

int tell(const ControlResult& result) {
  (result.exit_code == 0 ? std::cout : std::cerr) << result.text << std::endl;
  return result.exit_code;
}

}  // namespace

bool is_common(CommandLine::Action action) noexcept {
  using enum CommandLine::Action;
  return action == status || action == reload || action == stop || action == upgrade ||
         action == show;
}

int run_common(const CommandLine& command_line) {
  using enum CommandLine::Action;
  switch (command_line.action) {
    case status:
      return tell(server_status(command_line.text));
    case reload:
      return tell(reload_server(command_line.text));
    case upgrade:
      return tell(upgrade_server(command_line.text));
    case stop:
      return tell(stop_server(command_line.text));
    default:
      std::cout << command_line.text << std::flush;
      return 0;
  }
}

}  // namespace procpool::program
