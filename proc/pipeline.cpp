#include "proc/pipeline.hpp"

#include <unistd.h>

#include <utility>

#include "ipc/base/unique_fd.hpp"
#include "ipc/pipe.hpp"

namespace procpool::proc {

std::vector<Process> spawn_pipeline(const std::vector<Program>& programs) {
  std::vector<Process> children;
  children.reserve(programs.size());
  UniqueFd input;  // of the next program; closed before the children are destroyed, if one fails
  for (const Program& program : programs) {
    ChildOptions options = program.options;
    std::vector<Redirection> pipes;
    UniqueFd next_input;
    UniqueFd output;
    if (input.valid()) pipes.push_back(Redirection::fd(STDIN_FILENO, input.fd()));
    if (&program != &programs.back()) {
      auto [reader, writer] = ipc::make_pipe();
      next_input = reader.release();
      output = writer.release();
      pipes.push_back(Redirection::fd(STDOUT_FILENO, output.fd()));
    }
    options.redirections.insert(options.redirections.begin(), pipes.begin(), pipes.end());
    children.push_back(Process::spawn(program.argv, options));
    input = std::move(next_input);
  }
  return children;
}

}  // namespace procpool::proc
