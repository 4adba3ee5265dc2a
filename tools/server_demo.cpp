// server-demo: every I/O model and every server model side by side, to run, to see and to measure.
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

#include "tools/command_line.hpp"
#include "tools/server_demo/commands.hpp"
#include "tools/server_demo/demonstration.hpp"
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
  std::string lines =
      "server-demo shows how servers wait for their clients, and what each way costs.\n\n"
      "small experiments, with real processes and sockets: each shows what goes wrong and how it\n"
      "is mended, and proves it\n" +
      line_of("io", "one reader, three clients: eight ways to wait, beside each other") +
      line_of("io MODEL", "one of them, step by step");
  for (const auto* demonstration : demonstrations())
    lines += line_of(demonstration->name, demonstration->summary);
  lines += "\nserver models\n" + line_of("run", "which models there are") +
           line_of("run MODEL", "one of them serves, until it is told to end") +
           line_of("client ADDRESS", "sends it lines, and shows what it answers") +
           line_of("compare", "all of them with every load, beside each other; --html draws it") +
           line_of("jobs", "the same jobs by processes, threads and coroutines") +
           "\na small real program\n" +
           line_of("recorder", "clients and the terminal write into one file (select)") +
           "\nExit codes: 0 proved, 1 not, 2 wrong usage.\n";
  return lines;
}

void define(CLI::App& app, Action& action) {
  offer_io(app, action);
  offer_demonstrations(app, action);
  offer_run(app, action);
  offer_client(app, action);
  offer_compare(app, action);
  offer_jobs(app, action);
  offer_recorder(app, action);
}

}  // namespace

int main(int argc, char** argv) {
  return procpool::demo::run_tool(argc, argv, "server-demo", overview(), define);
}
