// What procpool-ftpd can be told, by its command line and by its configuration file.
//
//   const CommandLine command_line = parse_command_line(argc, argv);
//   Options options = load_options(command_line);    // and again at each reload
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "proc/credentials.hpp"
#include "servers/ftp/settings.hpp"
#include "servers/ftp/user_change.hpp"
#include "servers/models/session_board.hpp"
#include "servers/program/command_line.hpp"
#include "servers/program/setting.hpp"

namespace procpool::ftp {

using program::OptionsError;
using program::Origins;

// Every setting, with its default. Durations are seconds, or text with a unit: 2.5, "30s", "500ms".
// In the file each has the key of its flag's name without the dashes.
struct Options {
  std::vector<std::string> listen{"127.0.0.1:2121"};  // ADDR:PORT or [ADDR6]:PORT
  unsigned max_sessions = 2000;
  unsigned max_sessions_per_address = 50;
  unsigned spare_sessions = 0;                         // forked ahead
  std::chrono::milliseconds graceful_timeout{30'000};  // for sessions when the server stops
  std::string pid_file;                                // empty: none
  std::string error_log = "-";                         // a file, or "-" (standard error)
  std::string user;                                    // whom sessions run as; empty: as started
  std::string group;                                   // empty: the user's own
  std::optional<bool> seccomp;  // sessions in a sandbox; unset: if there is one
  Settings session;             // what each session is told
};

// Its own actions: one of these is set.
struct CommandLine : program::CommandLine {
  std::optional<UserChange> user_change;  // procpool-ftpd user add | remove | passwd | list
  bool shows_sessions = false;            // of the server that holds the pid file `text`
  bool watch = false;                     // again and again
};

// Throws OptionsError for a flag that is unknown, lacks its value, or whose value is wrong.
CommandLine parse_command_line(int argc, const char* const* argv);

// Lays the TOML file over `options`, and over that the command line. Throws OptionsError naming
// file, line, column and key.
Origins load_config(const std::string& path, Options& options,
                    const CommandLine& command_line = {});

// Lays the command line's settings over `options`. A repeatable one replaces the whole list.
void apply(const CommandLine& command_line, Options& options);

// Whether the sessions are in a sandbox.
bool has_sandbox(const Options& options);

// Throws OptionsError for what only the system can tell: there is no such user, or the folder of
// anonymous clients is none that the sessions can use; or if nobody could log in.
void validate(const Options& options, const Origins& origins = {});

// The defaults, under the file, under the command line; validated.
Options load_options(const CommandLine& command_line);

}  // namespace procpool::ftp
