// What the command line of a server said.
//
//   procpool-httpd --config site.toml --workers 4       // run: these settings over the file
//   procpool-httpd reload --pid-file /run/x.pid         // reload
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "servers/program/setting.hpp"

namespace procpool::program {

// Kept, so that its settings can be laid over a file that is read again.
struct CommandLine {
  enum class Action {
    run,
    check,
    status,   // of the server that holds the pid file `text`
    reload,   // it
    stop,     // it
    upgrade,  // it
    show,     // print `text` (--help, --version) and end with 0
    own,      // what only this program does
  };

  Action action = Action::run;
  std::string text;
  std::string config;                        // the file's path; empty: none
  std::optional<std::string> config_text{};  // what stood in it, if it is not to be read again
  bool daemon = false;
  std::vector<std::pair<std::string, Values>> settings;  // key, values
};

// Lays one of them over a target. False: it is none of these. Throws OptionsError that names the
// flag.
template <typename Target, std::size_t size>
bool apply_flag(const Setting<Target> (&all)[size], Target& target, const std::string& key,
                const Values& values) {
  const auto* const setting = find_setting(all, key);
  if (setting == nullptr) return false;
  const std::string reason = setting->set(target, values);
  if (!reason.empty()) throw OptionsError{"option", "--" + key, reason};
  return true;
}

// The defaults, under the file, under the command line; validated. The program brings
// load_config(), apply() and validate() for its own types.
template <typename Options, typename Line>
Options load_options(const Line& command_line) {
  Options options;
  Origins origins;
  if (command_line.config.empty()) {
    apply(command_line, options);
  } else {
    origins = load_config(command_line.config, options, command_line);
  }
  for (const auto& [key, values] : command_line.settings) origins.erase(key);
  validate(options, origins);
  return options;
}

// What each server does by itself, and by its exit status. Throws Error.
bool is_common(CommandLine::Action action) noexcept;  // status, reload, stop, upgrade, show
int run_common(const CommandLine& command_line);

}  // namespace procpool::program
