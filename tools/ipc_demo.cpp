// ipc-demo: shows what passes between processes, proves it, kills in the middle of it, measures it.
#include <unistd.h>

#include <array>
#include <chrono>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "ipc/base/error.hpp"
#include "tools/command_line.hpp"
#include "tools/ipc_demo/compare.hpp"
#include "tools/ipc_demo/names.hpp"
#include "tools/ipc_demo/scenario.hpp"
#include "tools/ipc_demo/segments.hpp"
#include "tools/narrator.hpp"
#include "tools/table.hpp"

namespace {

using namespace procpool::demo;

constexpr std::size_t kWidth = 80;
constexpr std::string_view kListSummary = "the named segments: who has them, and who waits in them";
constexpr std::string_view kRemoveSummary = "remove named segments that nobody uses";
constexpr std::string_view kCompareSummary =
    "all ways from one process to another, beside each other";

enum class Act { play, kill };

int show(const Scenario& scenario, Act act) {
  const std::string name = text("/ipc-demo.", ::getpid());
  const Names names{name};
  const bool killing = act == Act::kill;
  return narrate({.title = text("ipc-demo ", scenario.name, killing ? " --kill" : "", ": ",
                                killing ? scenario.killed : scenario.summary),
                  .name = name,
                  .act = killing ? scenario.kill : scenario.play,
                  .moral_title = "When to use it",
                  .moral = scenario.when});
}

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

int show_comparison(double seconds, const std::string& svg_file) {
  std::ofstream svg;
  if (!svg_file.empty()) {
    svg.open(svg_file);  // before all the work
    if (!svg) procpool::throw_errno("open", svg_file);
  }
  const auto time =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>{seconds});
  const bool on_terminal = ::isatty(STDERR_FILENO) == 1;
  const auto rows = compare(time, [&](std::string_view name) {
    if (on_terminal) std::cerr << "\r\x1b[Kmeasures " << name << std::flush;
  });
  if (on_terminal) std::cerr << "\r\x1b[K";
  std::cout << "ipc-demo compare: " << kCompareSummary << "\n\n" << table_of(rows) << std::flush;
  if (!svg_file.empty()) {
    svg << svg_of(rows) << std::flush;
    if (!svg) procpool::throw_errno("write", svg_file);
  }
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
  lines += "\nand\n";
  const std::array<std::pair<std::string_view, std::string_view>, 3> others{
      {{"compare", kCompareSummary}, {"ls", kListSummary}, {"rm", kRemoveSummary}}};
  for (const auto& [name, summary] : others) {
    lines += text("  ", padded(name, kNameWidth, Align::left), summary, "\n");
  }
  lines +=
      "\nipc-demo NAME --help says when to use what. Exit codes: 0 proved, 1 not, 2 wrong usage.\n";
  return lines;
}

// Sets `action` to what the subcommand says, if it is the one on the command line.
void add_scenario(CLI::App& app, const Scenario& scenario, Action& action) {
  CLI::App* command = app.add_subcommand(std::string{scenario.name}, std::string{scenario.summary});
  command->footer("\nWhen to use it:\n" + wrapped(scenario.when, 2, kWidth));
  CLI::Option* kill = command->add_flag("--kill")->description(text("kill ", scenario.killed));
  CLI::Option* bench = command->add_flag("--bench")->description("measure it")->excludes(kill);
  command->callback([&scenario, &action, kill, bench] {
    action = [&scenario, killing = kill->count() > 0, measuring = bench->count() > 0] {
      if (measuring) return show_measurements(scenario);
      return show(scenario, killing ? Act::kill : Act::play);
    };
  });
}

void add_compare(CLI::App& app, Action& action) {
  constexpr double kDefaultSeconds = 15;
  CLI::App* command = app.add_subcommand("compare", std::string{kCompareSummary});
  CLI::Option* svg = command->add_option("--svg")->description("draw it into this file, too");
  CLI::Option* seconds = command->add_option("--seconds")
                             ->description("how long all of it takes, about (15)")
                             ->check(CLI::Range(0.1, 3600.0));
  svg->option_text("FILE");
  seconds->option_text("N");
  command->callback([&action, svg, seconds] {
    action = [file = svg->count() > 0 ? svg->as<std::string>() : std::string{},
              time = seconds->count() > 0 ? seconds->as<double>() : kDefaultSeconds] {
      return show_comparison(time, file);
    };
  });
}

void add_segments(CLI::App& app, Action& action) {
  app.add_subcommand("ls", std::string{kListSummary})->callback([&action] {
    action = list_segments;
  });
  CLI::App* command = app.add_subcommand("rm", std::string{kRemoveSummary});
  CLI::Option* names = command->add_option("names")->description("as ipc-demo ls has them");
  names->option_text("NAME...")->expected(-1);
  CLI::Option* dead =
      command->add_flag("--dead")->description("all that nobody uses")->excludes(names);
  command->callback([&action, names, dead] {
    if (names->count() == 0 && dead->count() == 0) {
      throw CLI::ValidationError{"rm", "say which: NAME..., or --dead"};
    }
    if (dead->count() > 0) {
      action = remove_dead_segments;
    } else {
      action = [given = names->as<std::vector<std::string>>()] { return remove_segments(given); };
    }
  });
}

}  // namespace

int main(int argc, char** argv) {
  return run_tool(argc, argv, "ipc-demo", overview(), [](CLI::App& app, Action& action) {
    for (const Scenario* scenario : scenarios()) add_scenario(app, *scenario, action);
    add_compare(app, action);
    add_segments(app, action);
  });
}
