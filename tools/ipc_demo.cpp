// ipc-demo: shows what passes between processes, proves it, kills in the middle of it, measures it.
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "tools/ipc_demo/narrator.hpp"
#include "tools/ipc_demo/scenario.hpp"
#include "tools/ipc_demo/table.hpp"

namespace {

using namespace procpool::demo;

constexpr int kExitFailed = 1;
constexpr int kExitBadUsage = 2;
constexpr std::size_t kWidth = 80;

int show_measurements(const Scenario& scenario) {
  std::cout << "ipc-demo " << scenario.name << " --bench: " << scenario.summary << "\n\n";
  Table table{{{"", Align::left}, {"ns each", Align::right}, {"a second", Align::right}}};
  for (const Measurement& measured : scenario.bench()) {
    table.add({measured.what, fixed(measured.nanoseconds, measured.nanoseconds < 100 ? 1 : 0),
               with_prefix(1e9 / measured.nanoseconds)});
  }
  std::cout << table.text() << std::flush;
  return 0;
}

std::string overview() {
  std::string lines =
      "ipc-demo shows what passes between processes: each scenario runs real processes, tells who\n"
      "did what and when, and proves its result.\n\n"
      "  ipc-demo NAME            what happens, step by step\n"
      "  ipc-demo NAME --kill     somebody is killed in the middle; the others go on\n"
      "  ipc-demo NAME --bench    how fast it is, beside what it is made of\n\n"
      "scenarios\n";
  constexpr std::size_t kNameWidth = 13;
  for (const Scenario* scenario : scenarios()) {
    lines += text("  ", padded(scenario->name, kNameWidth, Align::left), scenario->summary, "\n");
  }
  return lines;
}

// Sets `action` to what the subcommand says, if it is the one on the command line.
void add_scenario(CLI::App& app, const Scenario& scenario, std::function<int()>& action) {
  CLI::App* command = app.add_subcommand(std::string{scenario.name}, std::string{scenario.summary});
  command->footer("\nWhen to use it:\n" + wrapped(scenario.when, 2, kWidth));
  CLI::Option* kill = command->add_flag("--kill")->description(text("kill ", scenario.killed));
  CLI::Option* bench = command->add_flag("--bench")->description("measure it")->excludes(kill);
  command->callback([&scenario, &action, kill, bench] {
    action = [&scenario, killing = kill->count() > 0, measuring = bench->count() > 0] {
      if (measuring) return show_measurements(scenario);
      return narrate(scenario, killing ? Act::kill : Act::play);
    };
  });
}

int run(int argc, char** argv) {
  CLI::App app{overview()};
  app.name("ipc-demo");
  app.set_help_flag("-h,--help", "show this and end");
  app.set_version_flag("--version", "ipc-demo " PROCPOOL_VERSION, "show the version and end");
  app.require_subcommand(0, 1);
  std::function<int()> action = [] {
    std::cout << overview() << std::flush;
    return 0;
  };
  for (const Scenario* scenario : scenarios()) add_scenario(app, *scenario, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const auto chosen = app.get_subcommands();
    std::cout << (chosen.empty() ? overview() : chosen.front()->help()) << std::flush;
    return 0;
  } catch (const CLI::CallForVersion& version) {
    std::cout << version.what() << std::endl;
    return 0;
  } catch (const CLI::ParseError& error) {
    std::cerr << "ipc-demo: " << error.what() << '\n';
    return kExitBadUsage;
  }
  return action();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "ipc-demo: " << error.what() << '\n';
    return kExitFailed;
  }
}
