// What server-demo can do: each command adds itself to the command line.
//
//   offer_run(app, action);       // "run" sets the action, if it is on the command line
#pragma once

#include "tools/command_line.hpp"

namespace procpool::server_demo {

void offer_demonstrations(CLI::App& app, demo::Action& action);
void offer_io(CLI::App& app, demo::Action& action);
void offer_recorder(CLI::App& app, demo::Action& action);
void offer_run(CLI::App& app, demo::Action& action);
void offer_client(CLI::App& app, demo::Action& action);
void offer_compare(CLI::App& app, demo::Action& action);
void offer_jobs(CLI::App& app, demo::Action& action);

}  // namespace procpool::server_demo
