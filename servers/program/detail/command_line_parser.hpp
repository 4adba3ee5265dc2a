// The command line of a server: its settings as flags, the commands that every server has, and what
// the program adds.
//
//   CommandLineParser parser{"procpool-httpd", "A pre-fork HTTP server.", result};
//   parser.offer(kSettings);
//   parser.parse(argc, argv);                        // throws OptionsError
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "servers/program/command_line.hpp"

namespace procpool::program::detail {

// Fills `result`, which is lent. Once.
class CommandLineParser {
 public:
  CommandLineParser(const std::string& name, const std::string& description, CommandLine& result);

  template <typename Target, std::size_t size>
  void offer(const Setting<Target> (&all)[size]) {
    for (const auto& setting : all) offer(setting.key, setting.placeholder, setting.help);
  }

  CLI::App& app() noexcept { return app_; }  // for what only this program has

  // Unless another action was chosen, what it leaves is to be checked by applying it.
  void parse(int argc, const char* const* argv);

 private:
  void offer(const char* key, const char* placeholder, const char* help);
  void offer_control(const char* name, const char* help, CommandLine::Action action);
  bool parse_or_show(int argc, const char* const* argv);

  CommandLine& result_;
  CLI::App app_;
  bool check_ = false;
  std::string pid_file_;
  std::vector<std::pair<std::string, Values>> given_;
};

}  // namespace procpool::program::detail
