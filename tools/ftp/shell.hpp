// Commands, line by line: from somebody at a terminal, or from a script.
//
//   Shell shell{client, interrupts};
//   return shell.converse();                             // at the prompt, until bye
//   return shell.read_script();                          // of standard input
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tools/ftp/client.hpp"
#include "tools/ftp/failure.hpp"

namespace procpool::ftp_client {

class Shell {
 public:
  using Words = std::vector<std::string>;  // behind the command

  Shell(Client& client, Interrupts& interrupts) : client_{client}, interrupts_{interrupts} {}

  // Whatever fails is told, and the next line is read. Returns 0.
  ExitCode converse();

  // Ends at the first line that fails, with its exit code.
  ExitCode read_script();

  // What the last word of a line may become: commands, files there or here.
  std::vector<std::string> completions(std::string_view line);

  Client& client() noexcept { return client_; }
  void leave() noexcept { leaving_ = true; }
  void forget_listings() noexcept { listings_.clear(); }

 private:
  ExitCode run_line(const std::string& line);
  std::string prompt() const;
  std::vector<std::string> remote_names(const std::string& beginning);

  Client& client_;
  Interrupts& interrupts_;
  bool leaving_ = false;
  std::map<std::string, std::vector<Entry>> listings_;  // by directory, until something changes
};

// What can be said at the prompt.
struct ShellCommand {
  enum class Argument { none, remote, local };

  std::string_view name;
  std::string_view usage;  // of its arguments
  std::string_view summary;
  std::size_t least;  // arguments
  std::size_t most;
  Argument first;  // what its arguments are: for completion
  Argument rest;
  bool changes;  // files at the server, or the place there
  void (*run)(Shell& shell, const Shell::Words& words);
};
std::span<const ShellCommand> shell_commands();
const ShellCommand* find_command(std::string_view name);  // or the only one that begins so

}  // namespace procpool::ftp_client
