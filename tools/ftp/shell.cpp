#include "tools/ftp/shell.hpp"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <system_error>

#include "servers/ftp/path.hpp"
#include "tools/ftp/line_editor.hpp"
#include "tools/ftp/names.hpp"
#include "tools/ftp/words.hpp"

namespace procpool::ftp_client {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> command_names(const std::string& beginning) {
  std::vector<std::string> names;
  for (const ShellCommand& command : shell_commands()) {
    if (command.name.starts_with(beginning)) names.emplace_back(command.name);
  }
  return names;
}

// What stands before the last name of a path, with its slash.
std::string folder_part(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == path.npos ? std::string{} : path.substr(0, slash + 1);
}

std::vector<std::string> local_names(const std::string& beginning) {
  std::vector<std::string> names;
  const std::string folder = folder_part(beginning);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator{folder.empty() ? "." : folder, error}) {
    std::string name = folder + entry.path().filename().string();
    if (!name.starts_with(beginning)) continue;
    if (entry.is_directory(error)) name.push_back('/');
    names.push_back(std::move(name));
  }
  return names;
}

void run_command(Shell& shell, Shell::Words words) {
  const std::string name = words.front();
  words.erase(words.begin());
  const ShellCommand* const command = find_command(name);
  if (command == nullptr)
    throw Failure{ExitCode::usage, printable(name), {}, "no such command: help lists them"};
  if (words.size() < command->least || words.size() > command->most)
    throw Failure{ExitCode::usage,
                  command->name,
                  {},
                  "usage: " + std::string{command->name} + " " + std::string{command->usage}};
  if (command->changes) shell.forget_listings();
  command->run(shell, words);
}

}  // namespace

ExitCode Shell::run_line(const std::string& line) {
  try {
    Words words = split_words(line);
    if (!words.empty() && !words.front().starts_with('#')) run_command(*this, std::move(words));
    return ExitCode::ok;
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return exit_code_of(error);
  }
}

std::string Shell::prompt() const {
  if (!client_.is_open()) return "procpool-ftp> ";
  const Session& session = client_.session();
  return printable(session.login().user + "@" + session.login().host + ":" + session.directory()) +
         "> ";
}

ExitCode Shell::converse() {
  LineEditor editor{[this](std::string_view line) { return completions(line); }, interrupts_};
  while (!leaving_) {
    const auto line = editor.read(prompt());
    if (!line) break;
    interrupts_.take();
    run_line(*line);
  }
  client_.close();
  return ExitCode::ok;
}

ExitCode Shell::read_script() {
  ExitCode code = ExitCode::ok;
  for (std::string line; !leaving_ && code == ExitCode::ok && std::getline(std::cin, line);)
    code = run_line(line);
  client_.close();
  return code;
}

std::vector<std::string> Shell::remote_names(const std::string& beginning) {
  if (!client_.is_open()) return {};
  const std::string folder = folder_part(beginning);
  const std::string directory = client_.session().absolute(folder.empty() ? "." : folder);
  auto found = listings_.find(directory);
  if (found == listings_.end())
    found = listings_.emplace(directory, client_.session().list(directory)).first;
  std::vector<std::string> names;
  for (const Entry& entry : found->second) {
    std::string name = folder + entry.name;
    if (!name.starts_with(beginning) || !is_safe_name(entry.name)) continue;
    if (entry.kind == Entry::Kind::directory) name.push_back('/');
    names.push_back(std::move(name));
  }
  return names;
}

std::vector<std::string> Shell::completions(std::string_view line) {
  using Argument = ShellCommand::Argument;
  const PartialWord partial = last_word(line);
  if (partial.index == 0) return command_names(partial.text);
  const ShellCommand* const command = find_command(partial.command);
  if (command == nullptr) return {};
  switch (partial.index == 1 ? command->first : command->rest) {
    case Argument::remote:
      return remote_names(partial.text);
    case Argument::local:
      return local_names(partial.text);
    case Argument::none:
      break;
  }
  return {};
}

}  // namespace procpool::ftp_client
