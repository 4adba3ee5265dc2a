// server-demo: every I/O model and every server model side by side, to run, to see and to measure.
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

#include "tools/command_line.hpp"
#include "tools/server_demo/commands.hpp"
#include "tools/table.hpp"
#include "tools/text.hpp"

namespace {

using namespace procpool::server_demo;
using procpool::demo::Action;

std::string line_of(std::string_view name, std::string_view summary) {
  constexpr std::size_t kNameWidth = 15;
  return procpool::demo::text(
      "  ", procpool::demo::padded(name, kNameWidth, procpool::demo::Align::left), summary, "\n");
}

std::string overview() {
  return "server-demo shows how servers wait for their clients, and what each way costs.\n\n"
         "server models\n" +
         line_of("run", "which models there are") +
         line_of("run MODEL", "one of them serves, until it is told to end") +
         line_of("client ADDRESS", "sends it lines, and shows what it answers") +
         line_of("compare", "all of them with every load, beside each other; --html draws it") +
         line_of("jobs", "the same jobs by processes, threads and coroutines") +
         "\nExit codes: 0 proved, 1 not, 2 wrong usage.\n";
}

void define(CLI::App& app, Action& action) {
  offer_run(app, action);
  offer_client(app, action);
  offer_compare(app, action);
  offer_jobs(app, action);
}

}  // namespace

int main(int argc, char** argv) {
  return procpool::demo::run_tool(argc, argv, "server-demo", overview(), define);
}
