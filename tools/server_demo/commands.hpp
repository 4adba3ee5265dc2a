// What server-demo can do: each command adds itself to the command line.
//
//   offer_run(app, action);       // "run" sets the action, if it is on the command line
#pragma once

#include "tools/command_line.hpp"

namespace procpool::server_demo {}  // namespace procpool::server_demo
