// What is done to a server that runs already, known by its pid file.
//
//   const ControlResult result = reload_server("/run/x.pid");
//   std::cout << result.text << '\n';
//   return result.exit_code;
#pragma once

#include <string>

namespace procpool::program {

struct ControlResult {
  int exit_code;
  std::string text;  // one line
};

inline constexpr int kExitNotRunning = 3;  // as `status` of the LSB's init scripts has it

// Each throws Error: the pid file cannot be read, or the server may not be signalled.

// 0: it runs; kExitNotRunning.
ControlResult server_status(const std::string& pid_file);

// Sends HUP, and waits for the end of the reload that this begins. 0: the new workers serve. 1: the
// old ones still do, and the text says why; or the server ended meanwhile; or there is no result
// for a minute.
ControlResult reload_server(const std::string& pid_file);

// Sends USR2, and waits until another process holds the pid file: 0. 1: the old one still serves,
// and the text says why; or as for a reload.
ControlResult upgrade_server(const std::string& pid_file);

// Sends TERM, and waits until the server has ended, as long as it needs. 0: it has.
ControlResult stop_server(const std::string& pid_file);

}  // namespace procpool::program
