// A server's program, started for one test, and gone when the test is; and programs that are run to
// their end.
//
//   ServerProgram server{[](const auto& folder) { return std::vector{program, "--root"s, folder};
//   }}; connect_to(server.port()); EXPECT_EQ(server.stop(), proc::ExitStatus::exited(0)) <<
//   server.errors();
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "proc/child_options.hpp"
#include "proc/exit_status.hpp"
#include "proc/process.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {

// Owned by the process and the thread that made it, and dies with that thread. Its standard output
// is a pipe, its standard error a file. The destructor sends INT, which ends its children first. A
// test that kills the master reaps the orphans itself: await_no_children().
class ServerProgram {
 public:
  using Argv = std::function<std::vector<std::string>(const std::filesystem::path& folder)>;

  // Returns when it serves at so many addresses. `child` counts but for its redirections. Throws
  // Error, with what it wrote to standard error, if it ends before.
  explicit ServerProgram(const Argv& argv, std::size_t addresses = 1,
                         proc::ChildOptions child = {});
  ~ServerProgram();

  std::uint16_t port() const { return port_of(0); }
  std::uint16_t port_of(std::size_t listener) const;
  const std::vector<std::string>& urls() const noexcept { return urls_; }

  const std::filesystem::path& folder() const noexcept { return folder_.path(); }  // of the test

  proc::Process& process() noexcept { return process_; }
  pid_t pid() const noexcept { return process_.pid(); }
  std::vector<pid_t> worker_pids() const;  // its children that live at this moment

  std::string errors() const;                       // what it wrote to standard error up to now
  bool await_error(const std::string& text) const;  // until that appears in it
  std::string output();  // what it wrote to standard output since the last call, not blocking

  void signal(int signal_number) { process_.signal(signal_number); }

  // Sends the signal and waits for the end; kills it if it does not come.
  proc::ExitStatus stop(int signal_number = SIGTERM);

 private:
  std::string read_line();

  TempDir folder_;
  std::string program_;
  proc::Process process_;
  std::string unread_;
  std::vector<std::string> urls_;
};

// A program run to its end, with no terminal and this to read.
struct ProgramRun {
  proc::ExitStatus status;
  std::string output;
  std::string errors;
};
ProgramRun run_program(const std::vector<std::string>& argv, proc::ChildOptions options = {},
                       const std::string& input = {});

}  // namespace procpool::test
