// What a server's process was started with, by whomever.
//
//   int main(int argc, char** argv) {
//     open_missing_standard_descriptors();
//     Start start = take_start(argc, argv);           // before anything else is done
//     models::Inheritance inheritance = inherit(start, service.listen);
//   }
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proc/activation.hpp"
#include "proc/notifier.hpp"
#include "servers/models/inheritance.hpp"
#include "servers/net/address.hpp"

namespace procpool::program {

struct Start {
  std::vector<std::string> argv;
  std::vector<std::string> environment;  // for a successor: without what is meant for this process
  std::optional<models::Predecessor> predecessor;
  models::Inheritance inheritance{};  // what that has left, until inherit() takes it
  std::vector<proc::ActivatedDescriptor> activated;
  proc::Notifier manager;
};

// Once, without other threads: takes from the environment what is meant for this process. Throws
// Error.
Start take_start(int argc, char** argv);

// With the configuration to begin with: a program that is executed again, because the one after it
// gave up, goes on with what it had.
template <typename CommandLine>
CommandLine to_begin_with(CommandLine command_line, const Start& start) {
  if (!start.inheritance.problem.empty())
    command_line.config_text = start.inheritance.configuration;
  return command_line;
}

// From the master before, or the sockets that a service manager has opened. Throws OptionsError:
// one of those is none of `listen`; Error: the master before has failed half-way.
models::Inheritance inherit(Start& start, const std::vector<net::Address>& listen);

// Started without 0, 1 or 2, the next descriptor to be opened would be one of them: a log would be
// written into a client's connection. They are /dev/null then. Throws Error.
void open_missing_standard_descriptors();

// The soft limit becomes what the hard one allows. Throws Error.
void raise_descriptor_limit();

}  // namespace procpool::program
