// Programs that read what the one before writes, as in a shell: a | b | c.
//
//   auto children = spawn_pipeline({{{"ls"}}, {{"grep", "x"}},
//                                   {{"wc", "-l"}, {.redirections =
//                                   {Redirection::pipe_from(1)}}}});
//   std::string count = read_to_end(children.back().pipe(1).fd(), "wc");
//   for (Process& child : children) log(child.wait().text());
#pragma once

#include <string>
#include <vector>

#include "proc/child_options.hpp"
#include "proc/process.hpp"

namespace procpool::proc {

// A program of a pipeline: the arguments of Process::spawn. A value.
struct Program {
  std::vector<std::string> argv;
  ChildOptions options{};
};

// Starts the programs in order and connects the stdout of each with the stdin of the next by a
// pipe, of which the parent keeps no end: one that ends early gives those before it SIGPIPE, and
// those after it the end of their input. A program's own redirections come after the pipes, so
// {fd(2, 1)} sends its stderr down the pipe as well. The children are the caller's, in the order of
// the programs; each has its own status. Throws Error as Process::spawn does; what was started
// before is treated as its on_destroy says.
std::vector<Process> spawn_pipeline(const std::vector<Program>& programs);

}  // namespace procpool::proc
