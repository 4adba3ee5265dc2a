// server-demo compare: on the command line.
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "ipc/base/error.hpp"
#include "tools/server_demo/commands.hpp"
#include "tools/server_demo/compare.hpp"
#include "tools/server_demo/compare_advice.hpp"
#include "tools/server_demo/compare_table.hpp"
#include "tools/server_demo/page.hpp"
#include "tools/terminal.hpp"
#include "tools/text.hpp"

namespace procpool::server_demo {
namespace {

using demo::text;

constexpr std::string_view kSummary = "every model with every load, beside each other";

struct CompareOptions {
  double seconds = 180;
  std::vector<std::string> models{};
  std::vector<unsigned> connections{1, 10, 100, 1000, 5000};
  std::string html_file{};
  std::string json_file{};
};

// Opened before all the work.
class OutputFile {
 public:
  explicit OutputFile(const std::string& name) : name_{name} {
    if (name.empty()) return;
    file_.open(name);
    if (!file_) throw_errno("open", name);
  }
  void write(const std::string& content) {
    if (name_.empty()) return;
    file_ << content << std::flush;
    if (!file_) throw_errno("write", name_);
  }

 private:
  std::string name_;
  std::ofstream file_;
};

std::vector<const Model*> models_named(const std::vector<std::string>& names) {
  std::vector<const Model*> chosen;
  for (const Model& model : all_models()) {
    const bool wanted = names.empty() || std::ranges::count(names, model.name) > 0;
    if (wanted && model.form != Form::datagrams) chosen.push_back(&model);
  }
  return chosen;
}

void require_models(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const Model* model = model_named(name);
    if (model == nullptr || model->form == Form::datagrams) {
      throw CLI::ValidationError{"--models", "there is no model \"" + name +
                                                 "\" with connections: server-demo run lists them"};
    }
  }
}

void show_progress(const Progress& progress) {
  constexpr int kMinute = 60;
  const Case& next = progress.next;
  std::cerr << text("\r\x1b[K", progress.done + 1, " of ", progress.of, ", ",
                    progress.left.count() / kMinute, " min ", progress.left.count() % kMinute,
                    " s left: ", next.model->name, ", ", name_of(next.load), ", ",
                    name_of(next.work), ", ", next.connections)
            << std::flush;
}

std::string explanation(const Machine& machine) {
  return text(
      "server-demo compare: ", kSummary, "\n\n",
      demo::wrapped(
          text("I/O-bound: a request waits ", kWaiting.count(),
               " ms. Coroutines await that, and serve others meanwhile; a call-back has no way to "
               "wait, so it sleeps, and its whole loop with it. CPU-bound: a request takes ",
               kComputing.count(),
               " µs of processor time. Of mostly idle clients a tenth asks, ten "
               "at most. Here ",
               conditions_of(machine), "."),
          0, 100),
      "\n");
}

std::string advice(const Comparison& measured) {
  std::string lines = "\nWhich model for what, by these figures\n";
  for (const Advice& one : advice_of(measured)) {
    lines += text("  ", one.need, "\n", demo::wrapped(one.answer, 4, 100));
  }
  return lines;
}

int show_comparison(const CompareOptions& options) {
  OutputFile html{options.html_file};
  OutputFile json{options.json_file};
  const bool on_terminal = ::isatty(STDERR_FILENO) == 1;
  const auto time = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>{options.seconds});
  const Comparison measured = compare(models_named(options.models), options.connections, time,
                                      [&](const Progress& progress) {
                                        if (on_terminal) show_progress(progress);
                                      });
  if (on_terminal) std::cerr << "\r\x1b[K";
  demo::print(explanation(measured.machine) + tables_of(measured) + advice(measured));
  json.write(json_of(measured));
  html.write(page_of(measured));
  return 0;
}

}  // namespace

void offer_compare(CLI::App& app, demo::Action& action) {
  const auto options = std::make_shared<CompareOptions>();
  CLI::App* command = app.add_subcommand("compare", std::string{kSummary});
  command->add_option("--seconds", options->seconds, "how long all of it takes, about (180)")
      ->check(CLI::Range(0.1, 86'400.0))
      ->option_text("N");
  command->add_option("--models", options->models, "these only, as server-demo run lists them")
      ->delimiter(',')
      ->option_text("A,B...");
  command
      ->add_option("--connections", options->connections, "how many at once (1,10,100,1000,5000)")
      ->delimiter(',')
      ->check(CLI::Range(1U, 100'000U))
      ->option_text("N,M...");
  command->add_option("--html", options->html_file, "draw it into this file, too")
      ->option_text("FILE");
  command->add_option("--json", options->json_file, "keep the figures in this file")
      ->option_text("FILE");
  command->callback([&action, options] {
    require_models(options->models);
    action = [options] { return show_comparison(*options); };
  });
}

}  // namespace procpool::server_demo
