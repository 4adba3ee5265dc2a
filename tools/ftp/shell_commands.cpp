// The table of commands. "Here" is this machine, "there" the server.
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <limits>

#include "servers/ftp/path.hpp"
#include "tools/ftp/names.hpp"
#include "tools/ftp/shell.hpp"
#include "tools/ftp/url.hpp"
#include "tools/table.hpp"
#include "tools/terminal.hpp"
#include "tools/text.hpp"

namespace procpool::ftp_client {
namespace {

namespace fs = std::filesystem;
using demo::print;
using demo::text;
using Words = Shell::Words;
using enum ShellCommand::Argument;

constexpr std::size_t kAny = std::numeric_limits<std::size_t>::max();

std::string word_or(const Words& words, std::size_t index, std::string_view otherwise) {
  return index < words.size() ? words[index] : std::string{otherwise};
}

void open(Shell& shell, const Words& words) {
  const Url url = parse_url(words[0]);
  shell.client().open(url);
  if (!url.path.empty()) shell.client().session().change_directory(url.path);
}

void user(Shell& shell, const Words& words) {
  const Login& there = shell.client().session().login();
  Url url{.host = there.host, .port = there.port, .user = words[0]};
  if (words.size() > 1) url.password = words[1];
  ClientOptions options = shell.client().options();
  options.user.clear();
  shell.client().open(url, options);
}

void ls(Shell& shell, const Words& words) {
  shell.client().list(word_or(words, 0, "."));
}

void cd(Shell& shell, const Words& words) {
  shell.client().session().change_directory(word_or(words, 0, "/"));
}

void lcd(Shell&, const Words& words) {
  const char* const home = ::getenv("HOME");
  fs::current_path(word_or(words, 0, home != nullptr ? home : "/"));
}

void pwd(Shell& shell, const Words&) {
  print(printable(shell.client().session().directory()) + "\n");
}

void lpwd(Shell&, const Words&) {
  print(fs::current_path().string() + "\n");
}

void get(Shell& shell, const Words& words) {
  shell.client().get(words[0], word_or(words, 1, ""), false);
}

void reget(Shell& shell, const Words& words) {
  shell.client().get(words[0], word_or(words, 1, ""), true);
}

void mget(Shell& shell, const Words& words) {
  shell.client().get_matching(words, ".");
}

void put(Shell& shell, const Words& words) {
  shell.client().put(words[0], word_or(words, 1, ""), false);
}

void reput(Shell& shell, const Words& words) {
  shell.client().put(words[0], word_or(words, 1, ""), true);
}

// Patterns are this program's to expand: there is no other shell between.
Words matching_files(const Words& patterns) {
  Words files;
  for (const std::string& pattern : patterns) {
    if (!ftp::is_pattern(pattern)) {
      files.push_back(pattern);
      continue;
    }
    const fs::path path{pattern};
    const fs::path folder = path.has_parent_path() ? path.parent_path() : ".";
    for (const auto& entry : fs::directory_iterator{folder}) {
      const std::string name = entry.path().filename();
      if (entry.is_regular_file() && ftp::matches(path.filename().native(), name))
        files.push_back(path.has_parent_path() ? (folder / name).string() : name);
    }
  }
  std::ranges::sort(files);
  return files;
}

void mput(Shell& shell, const Words& words) {
  const Words files = matching_files(words);
  if (files.empty()) throw Failure{ExitCode::failed, "put", words[0], "no file matches"};
  shell.client().put_several(files);
}

void mirror(Shell& shell, const Words& words) {
  const bool reverse = words[0] == "-R" || words[0] == "--reverse";
  const std::size_t first = reverse ? 1 : 0;
  if (words.size() <= first || words.size() > first + 2)
    throw Failure{ExitCode::usage, "mirror", {}, "it takes a directory, or two"};
  const std::string from = words[first];
  const std::string name = fs::path{from}.lexically_normal().filename();
  const std::string to = word_or(words, first + 1, name.empty() ? "." : name);
  reverse ? shell.client().mirror_back(from, to) : shell.client().mirror(from, to);
}

void mkdir(Shell& shell, const Words& words) {
  for (const std::string& path : words) shell.client().session().make_directory(path);
}

void rmdir(Shell& shell, const Words& words) {
  for (const std::string& path : words) shell.client().session().remove_directory(path);
}

void rm(Shell& shell, const Words& words) {
  for (const std::string& path : words) shell.client().session().remove(path);
}

void mv(Shell& shell, const Words& words) {
  shell.client().session().rename(words[0], words[1]);
}

void chmod(Shell& shell, const Words& words) {
  shell.client().session().change_mode(words[0], words[1]);
}

void cat(Shell& shell, const Words& words) {
  for (const std::string& path : words) shell.client().cat(path);
}

[[noreturn]] void throw_unknown(std::string_view what, const std::string& path) {
  throw Refused{what, printable(path), 550, "the server does not tell it"};
}

void size(Shell& shell, const Words& words) {
  const auto bytes = shell.client().session().size(words[0]);
  if (!bytes) throw_unknown("size", words[0]);
  print(text(*bytes, "\n"));
}

void mtime(Shell& shell, const Words& words) {
  const auto time = shell.client().session().modified(words[0]);
  if (!time) throw_unknown("mtime", words[0]);
  std::tm when{};
  ::gmtime_r(&*time, &when);
  std::array<char, 64> line;
  const auto length = std::strftime(line.data(), line.size(), "%Y-%m-%d %H:%M:%S UTC\n", &when);
  print({line.data(), length});
}

void quote(Shell& shell, const Words& words) {
  std::string line;
  for (const std::string& word : words) line.append(line.empty() ? "" : " ").append(word);
  const Reply reply = shell.client().session().quote(line);
  for (const std::string& said : reply.lines) print(printable(said) + "\n");
  if (reply.kind() >= 4) throw Refused{"quote", printable(line), reply.code, "the server refuses"};
}

void passive(Shell& shell, const Words& words) {
  const std::string wanted = word_or(words, 0, "on");
  if (wanted != "on" && wanted != "off")
    throw Failure{ExitCode::usage, "passive", wanted, "it is on or off"};
  const DataMode mode = wanted == "on" ? DataMode::passive : DataMode::active;
  shell.client().options().session.data_mode = mode;
  if (shell.client().is_open()) shell.client().session().set_data_mode(mode);
}

void set_text(Shell& shell, bool on) {
  shell.client().options().session.text = on;
  if (shell.client().is_open()) shell.client().session().set_text(on);
}

void ascii(Shell& shell, const Words&) {
  set_text(shell, true);
}

void binary(Shell& shell, const Words&) {
  set_text(shell, false);
}

void status(Shell& shell, const Words&) {
  Client& client = shell.client();
  if (!client.is_open()) return print("not connected\n");
  const Login& login = client.session().login();
  const SessionOptions& options = client.session().options();
  constexpr std::string_view kModes[] = {"passive, or active where there is no other way",
                                         "passive", "active"};
  print(text("connected to ", printable(login.host), " port ", login.port, " as ",
             printable(login.user), "\ndirectory ", printable(client.session().directory()),
             "\ntype ", options.text ? "ascii" : "binary", "\ndata connections ",
             kModes[static_cast<std::size_t>(options.data_mode)], "\ntransfers at once ",
             client.options().parallel, "\n"));
}

void help(Shell&, const Words& words) {
  for (const ShellCommand& command : shell_commands()) {
    if (!words.empty() && words[0] != command.name) continue;
    const std::string how = text(command.name, command.usage.empty() ? "" : " ", command.usage);
    print(text("  ", demo::padded(how, 26, demo::Align::left), " ", command.summary, "\n"));
  }
}

void bye(Shell& shell, const Words&) {
  shell.leave();
}

// In the order in which help lists them.
constexpr ShellCommand kCommands[] = {
    {"open", "HOST|URL", "connect and log in", 1, 1, none, none, true, open},
    {"user", "NAME [PASSWORD]", "log in as somebody else", 1, 2, none, none, true, user},
    {"ls", "[PATH]", "list a directory there", 0, 1, remote, remote, false, ls},
    {"cd", "[DIR]", "go to a directory there", 0, 1, remote, remote, false, cd},
    {"pwd", "", "where we are there", 0, 0, none, none, false, pwd},
    {"lcd", "[DIR]", "go to a directory here", 0, 1, local, local, false, lcd},
    {"lpwd", "", "where we are here", 0, 0, none, none, false, lpwd},
    {"get", "FILE [HERE]", "get a file", 1, 2, remote, local, false, get},
    {"mget", "PATTERN...", "get all files that match", 1, kAny, remote, remote, false, mget},
    {"reget", "FILE [HERE]", "get the rest of a file", 1, 2, remote, local, false, reget},
    {"put", "FILE [THERE]", "put a file", 1, 2, local, remote, true, put},
    {"mput", "PATTERN...", "put all files that match", 1, kAny, local, local, true, mput},
    {"reput", "FILE [THERE]", "put the rest of a file", 1, 2, local, remote, true, reput},
    {"mirror", "[-R] FROM [TO]", "get a tree, or put one (-R)", 1, 3, remote, local, true, mirror},
    {"mkdir", "DIR...", "make directories", 1, kAny, remote, remote, true, mkdir},
    {"rmdir", "DIR...", "remove empty directories", 1, kAny, remote, remote, true, rmdir},
    {"rm", "FILE...", "remove files", 1, kAny, remote, remote, true, rm},
    {"mv", "FROM TO", "rename a file or directory", 2, 2, remote, remote, true, mv},
    {"chmod", "MODE FILE", "change permissions: 644", 2, 2, none, remote, true, chmod},
    {"cat", "FILE...", "show files", 1, kAny, remote, remote, false, cat},
    {"size", "FILE", "how many bytes", 1, 1, remote, remote, false, size},
    {"mtime", "FILE", "when it was changed", 1, 1, remote, remote, false, mtime},
    {"quote", "COMMAND...", "say this to the server as it is", 1, kAny, none, none, true, quote},
    {"passive", "[on|off]", "who opens data connections", 0, 1, none, none, false, passive},
    {"ascii", "", "line ends are translated from now on", 0, 0, none, none, false, ascii},
    {"binary", "", "bytes are bytes: so it begins", 0, 0, none, none, false, binary},
    {"status", "", "connection and settings", 0, 0, none, none, false, status},
    {"help", "[COMMAND]", "this", 0, 1, none, none, false, help},
    {"bye", "", "log out and end", 0, 0, none, none, false, bye},
    {"exit", "", "the same", 0, 0, none, none, false, bye},
    {"quit", "", "the same", 0, 0, none, none, false, bye},
};

}  // namespace

std::span<const ShellCommand> shell_commands() {
  return kCommands;
}

const ShellCommand* find_command(std::string_view name) {
  const auto* const exact = std::ranges::find(kCommands, name, &ShellCommand::name);
  if (exact != std::end(kCommands)) return exact;
  const auto begins = [&](const ShellCommand& command) { return command.name.starts_with(name); };
  const auto* const found = std::ranges::find_if(kCommands, begins);
  const bool only = std::ranges::count_if(kCommands, begins) == 1;
  return only ? found : nullptr;
}

}  // namespace procpool::ftp_client
