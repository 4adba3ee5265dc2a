// A tool, run to its end as somebody at a shell would run it.
//
//   const Ran listed = run_tool(PROCPOOL_IPC_DEMO, {"ls"});
//   EXPECT_TRUE(contains(listed.output, "in use")) << listed.errors;
#pragma once

#include <sys/types.h>

#include <sstream>
#include <string>
#include <vector>

#include "ipc/base/io.hpp"
#include "proc/process.hpp"
#include "tests/support/contains.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {

struct Ran {
  pid_t pid;
  proc::ExitStatus status;
  std::string output;
  std::string errors;
};

inline std::vector<std::string> command_of(const std::string& program,
                                           const std::vector<std::string>& arguments) {
  std::vector<std::string> argv{program};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return argv;
}

inline Ran run_tool(const std::string& program, const std::vector<std::string>& arguments) {
  using proc::Redirection;
  const TempDir folder;
  auto process = proc::Process::spawn(
      command_of(program, arguments),
      {.die_with_parent = true,
       .redirections = {Redirection::null(0), Redirection::file(1, folder.path() / "out"),
                        Redirection::file(2, folder.path() / "err")}});
  const pid_t pid = process.pid();
  const proc::ExitStatus status = process.wait();
  return {.pid = pid,
          .status = status,
          .output = read_file(folder.path() / "out"),
          .errors = read_file(folder.path() / "err")};
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in{text};
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace procpool::test
