// proc-demo: shows what happens to processes, from the kernel's own evidence, and proves it.
#include <optional>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

#include "tools/command_line.hpp"
#include "tools/proc_demo/event.hpp"
#include "tools/proc_demo/inspect.hpp"
#include "tools/proc_demo/narrator.hpp"
#include "tools/proc_demo/scenario.hpp"
#include "tools/table.hpp"
#include "tools/text.hpp"

namespace {

using namespace procpool::proc_demo;
using procpool::demo::Action;
using procpool::demo::Align;
using procpool::demo::padded;
using procpool::demo::text;
using procpool::demo::wrapped;

constexpr std::size_t kWidth = 80;
constexpr std::string_view kInspectSummary =
    "every zombie and orphan of this system, or one process in words";

std::string overview() {
  std::string lines =
      "proc-demo shows what happens to processes: each scenario runs real ones, tells what they "
      "do\n"
      "and what the kernel says of them, and proves it: expected beside observed.\n\n"
      "  proc-demo NAME              what happens, step by step, with a timeline\n"
      "  proc-demo NAME --step       the same, an event for each Enter\n"
      "  proc-demo NAME --svg FILE   draws the timeline, too\n"
      "  proc-demo NAME --json FILE  keeps what happened; proc-demo --replay FILE shows it "
      "again\n\n"
      "scenarios\n";
  constexpr std::size_t kNameWidth = 13;
  for (const Scenario* scenario : scenarios()) {
    lines += text("  ", padded(scenario->name, kNameWidth, Align::left), scenario->summary, "\n");
  }
  lines += text("\nand\n  ", padded("inspect [PID]", kNameWidth, Align::left), " ", kInspectSummary,
                "\n");
  lines += "\nExit codes: 0 all as expected, 1 not, 2 wrong usage.\n";
  return lines;
}

void add_telling(CLI::App& app, Telling& telling) {
  app.add_flag_callback(
      "--step", [&telling] { telling.stepping = Stepping::yes; },
      "wait for Enter after each event");
  app.add_option("--svg", telling.svg_file, "draw the timeline into this file, too")
      ->option_text("FILE");
  app.add_option("--json", telling.json_file, "keep what happened in this file")
      ->option_text("FILE");
}

// Sets `action` to what the subcommand says, if it is the one on the command line.
void add_scenario(CLI::App& app, const Scenario& scenario, Telling& telling, Action& action) {
  CLI::App* command = app.add_subcommand(std::string{scenario.name}, std::string{scenario.summary});
  command->footer("\nTo remember:\n" + wrapped(scenario.lesson, 2, kWidth));
  add_telling(*command, telling);
  command->callback([&] { action = [&] { return narrate(scenario, telling); }; });
}

void add_inspect(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("inspect", std::string{kInspectSummary});
  CLI::Option* pid =
      command->add_option("pid")->description("of one process; else all are looked at");
  pid->option_text("PID")->check(CLI::PositiveNumber);
  command->callback([&action, pid] {
    const auto which = pid->count() > 0 ? std::optional{pid->as<pid_t>()} : std::nullopt;
    action = [which] { return inspect(which); };
  });
}

}  // namespace

int main(int argc, char** argv) {
  Telling telling;
  std::string recording;
  return procpool::demo::run_tool(
      argc, argv, "proc-demo", overview(), [&](CLI::App& app, Action& action) {
        action = [&, otherwise = action] {
          return recording.empty() ? otherwise() : replay(read_recording(recording), telling);
        };
        app.add_option("--replay", recording, "show what was kept by --json")->option_text("FILE");
        add_telling(app, telling);
        for (const Scenario* scenario : scenarios()) add_scenario(app, *scenario, telling, action);
        add_inspect(app, action);
      });
}
