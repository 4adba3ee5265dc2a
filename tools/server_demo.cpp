// server-demo: every I/O model and every server model side by side, to run, to see and to measure.
#include <string>

#include <CLI/CLI.hpp>

#include "tools/command_line.hpp"
#include "tools/server_demo/commands.hpp"

namespace {

using procpool::demo::Action;

std::string overview() {
  return "server-demo shows how servers wait for their clients, and what each way costs.\n";
}

}  // namespace

int main(int argc, char** argv) {
  return procpool::demo::run_tool(argc, argv, "server-demo", overview(),
                                  [](CLI::App& app, Action& action) {
                                    using namespace procpool::server_demo;
                                    offer_run(app, action);
                                    offer_client(app, action);
                                    offer_compare(app, action);
                                    offer_jobs(app, action);
                                  });
}
