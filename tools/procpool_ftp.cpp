// procpool-ftp: an FTP client for one thing at a time, or for a conversation.
#include <unistd.h>

#include <chrono>
#include <exception>
#include <functional>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "tools/command_line.hpp"
#include "tools/ftp/client.hpp"
#include "tools/ftp/failure.hpp"
#include "tools/ftp/progress.hpp"
#include "tools/ftp/shell.hpp"
#include "tools/ftp/url.hpp"
#include "tools/ftp/waiting.hpp"
#include "tools/table.hpp"
#include "tools/text.hpp"

namespace {

using namespace procpool::ftp_client;
using procpool::demo::Action;
using procpool::demo::Align;
using procpool::demo::padded;
using procpool::demo::text;

constexpr std::string_view kName = "procpool-ftp";

struct CommandLine {
  ClientOptions client{};
  std::string target{};              // of a conversation
  std::vector<std::string> words{};  // of a subcommand
  bool reverse = false;
};

std::string overview() {
  std::string lines =
      "procpool-ftp gets files from FTP servers, and puts them there.\n\n"
      "  procpool-ftp [HOST|URL]             a prompt; or a script, from standard input\n"
      "  procpool-ftp get URL [LOCAL]        a file; - is standard output\n"
      "  procpool-ftp mget URL [DIR]         all files that match: ftp://host/pub/*.txt\n"
      "  procpool-ftp put LOCAL URL          a file; URL/ keeps its name\n"
      "  procpool-ftp mirror URL DIR         what is missing, or older, in a tree\n"
      "  procpool-ftp mirror --reverse DIR URL\n"
      "  procpool-ftp ls URL\n"
      "  procpool-ftp cat URL\n"
      "  procpool-ftp rm URL\n"
      "  procpool-ftp mkdir URL\n\n"
      "URL is ftp://USER:PASSWORD@HOST:PORT/PATH;type=a|i, with %xx for odd bytes; all but HOST "
      "may\n"
      "be left out. PATH begins where a login begins; //PATH at the root. A password that is not\n"
      "in it comes from --user, from the netrc, or from the terminal.\n\n"
      "  -u, --user NAME[:PASSWORD]\n"
      "  --netrc FILE         instead of ~/.netrc; nobody else may read it\n"
      "  -P, --parallel N     transfers at once, of mirror and mget: 1 to 16\n"
      "  -c, --resume         go on with what an earlier transfer has left\n"
      "  --passive, --active  who opens data connections; else passive where that works\n"
      "  --timeout SECONDS    in which nothing comes; 30\n"
      "  --limit-rate RATE    bytes a second of each transfer: 500k, 2M\n"
      "  -q, --quiet          errors only\n"
      "  -v, --verbose        the dialogue, without passwords, on standard error\n\n"
      "exit codes\n";
  for (const ExitMeaning& meaning : exit_meanings()) {
    lines += text("  ", padded(text(static_cast<int>(meaning.code)), 3, Align::right), "  ",
                  meaning.words, "\n");
  }
  return lines;
}

std::string rate_problem(const std::string& words, std::uint64_t& rate) {
  std::size_t used = 0;
  try {
    rate = words.starts_with('-') ? 0 : std::stoull(words, &used);
  } catch (const std::exception&) {
    rate = 0;
  }
  const std::string unit = words.substr(std::min(used, words.size()));
  if (unit == "k" || unit == "K") rate *= 1000;
  if (unit == "M") rate *= 1'000'000;
  const bool known = unit.empty() || unit == "k" || unit == "K" || unit == "M";
  return rate == 0 || !known ? "--limit-rate: it is a number of bytes, like 500k or 2M" : "";
}

void add_options(CLI::App& app, CommandLine& line) {
  ClientOptions& client = line.client;
  app.add_option("-u,--user", client.user)->option_text("NAME[:PASSWORD]");
  app.add_option("--netrc", client.netrc)->option_text("FILE");
  app.add_option("-P,--parallel", client.parallel)
      ->check(CLI::Range(1, static_cast<int>(ProgressBoard::kMostWorkers)));
  app.add_flag("-c,--resume", client.resume);
  auto* const passive = app.add_flag_callback(
      "--passive", [&client] { client.session.data_mode = DataMode::passive; });
  app.add_flag_callback("--active", [&client] { client.session.data_mode = DataMode::active; })
      ->excludes(passive);
  app.add_option_function<double>(
         "--timeout",
         [&client](double seconds) {
           client.session.timeout = std::chrono::milliseconds{static_cast<long>(seconds * 1000)};
         })
      ->check(CLI::Range(0.01, 86'400.0));
  app.add_option_function<std::string>("--limit-rate", [&client](const std::string& words) {
    const std::string problem = rate_problem(words, client.session.most_per_second);
    if (!problem.empty()) throw CLI::ValidationError{problem};
  });
  app.add_flag("-q,--quiet", client.quiet);
  app.add_flag("-v,--verbose", client.session.verbose);
}

// A subcommand's own exit codes: what is thrown says which.
int guarded(const std::function<ExitCode()>& act) {
  try {
    return static_cast<int>(act());
  } catch (const std::exception& error) {
    std::cerr << kName << ": " << error.what() << '\n';
    return static_cast<int>(exit_code_of(error));
  }
}

ExitCode converse(const CommandLine& line) {
  Interrupts interrupts;
  Client client{line.client, interrupts};
  if (!line.target.empty()) {
    const Url url = parse_url(line.target);
    client.open(url);
    if (!url.path.empty()) client.session().change_directory(url.path);
  }
  Shell shell{client, interrupts};
  return ::isatty(STDIN_FILENO) == 1 ? shell.converse() : shell.read_script();
}

// What is done with one URL, which is the word of this index.
struct OneShot {
  std::string_view name;
  std::size_t url;
  std::size_t least;
  std::size_t most;
  std::string_view usage;
  void (*run)(Client& client, const std::string& path, const CommandLine& line);
};

std::string word_or(const CommandLine& line, std::size_t index, std::string_view otherwise) {
  return index < line.words.size() ? line.words[index] : std::string{otherwise};
}

constexpr OneShot kOneShots[] = {
    {"get", 0, 1, 2, "URL [LOCAL]",
     [](Client& client, const std::string& path, const CommandLine& line) {
       client.get(path, word_or(line, 1, ""), false);
     }},
    {"mget", 0, 1, 2, "URL [DIR]",
     [](Client& client, const std::string& path, const CommandLine& line) {
       client.get_matching({path}, word_or(line, 1, "."));
     }},
    {"put", 1, 2, 2, "LOCAL URL",
     [](Client& client, const std::string& path, const CommandLine& line) {
       client.put(line.words[0], path, false);
     }},
    {"mirror", 0, 2, 2, "URL DIR",
     [](Client& client, const std::string& path, const CommandLine& line) {
       line.reverse ? client.mirror_back(line.words[0], path) : client.mirror(path, line.words[1]);
     }},
    {"ls", 0, 1, 1, "URL",
     [](Client& client, const std::string& path, const CommandLine&) { client.list(path); }},
    {"cat", 0, 1, 1, "URL",
     [](Client& client, const std::string& path, const CommandLine&) { client.cat(path); }},
    {"rm", 0, 1, 1, "URL",
     [](Client& client, const std::string& path, const CommandLine&) {
       client.session().remove(path);
     }},
    {"mkdir", 0, 1, 1, "URL",
     [](Client& client, const std::string& path, const CommandLine&) {
       client.session().make_directory(path);
     }},
};

ExitCode run_one_shot(const OneShot& one_shot, const CommandLine& line) {
  if (!line.target.empty() || line.words.size() < one_shot.least ||
      line.words.size() > one_shot.most)
    throw Failure{
        ExitCode::usage, one_shot.name, {}, text("usage: ", one_shot.name, " ", one_shot.usage)};
  const Url url = parse_url(line.words[line.reverse ? 1 : one_shot.url]);
  Interrupts interrupts;
  Client client{line.client, interrupts};
  client.open(url);
  one_shot.run(client, url.path, line);
  client.close();
  return ExitCode::ok;
}

void add_one_shot(CLI::App& app, const OneShot& one_shot, CommandLine& line, Action& action) {
  CLI::App* const command = app.add_subcommand(std::string{one_shot.name});
  command->fallthrough();
  command->add_option("words", line.words)->option_text(std::string{one_shot.usage});
  if (one_shot.name == "mirror")
    command->add_flag("-R,--reverse", line.reverse, "from here to there: DIR URL");
  command->callback(
      [&] { action = [&] { return guarded([&] { return run_one_shot(one_shot, line); }); }; });
}

}  // namespace

int main(int argc, char** argv) {
  CommandLine line;
  return procpool::demo::run_tool(
      argc, argv, std::string{kName}, overview(), [&](CLI::App& app, Action& action) {
        action = [&] { return guarded([&] { return converse(line); }); };
        app.add_option("target", line.target)->option_text("HOST|URL");
        add_options(app, line);
        for (const OneShot& one_shot : kOneShots) add_one_shot(app, one_shot, line, action);
      });
}
