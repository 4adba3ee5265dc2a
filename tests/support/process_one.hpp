// A server's program as process 1 of a pid namespace, as in a container, whose program can be
// replaced.
//
//   const ProgramInNamespace program{httpd_program()};
//   HttpServer server{{.program = program.start()}};
//   ProcessOne one{server};
//   program.replace("exit 3");
//   EXPECT_EQ(program.upgrade(one, pid_file).status, ExitStatus::exited(1));
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <set>
#include <string>

#include "proc/exit_status.hpp"
#include "tests/support/server_program.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {

// The server, whom ServerProgram does not know: its process is unshare(1), and the server is that
// one's child. Stops it at the end of the test.
class ProcessOne {
 public:
  explicit ProcessOne(ServerProgram& server);
  ~ProcessOne();

  pid_t pid() const noexcept { return pid_; }  // outside of the namespace
  proc::ExitStatus stop(int signal_number);

  std::set<pid_t> children() const;
  bool await_children(std::size_t count) const;  // so many, and no zombie among them

 private:
  ServerProgram& server_;
  pid_t pid_;
};

class ProgramInNamespace {
 public:
  explicit ProgramInNamespace(std::string program);

  static std::string why_not();  // empty: this process may make a pid namespace

  const std::string& start() const noexcept { return start_; }  // starts it as process 1

  // What USR2 executes from here on: a script, or the program again.
  void replace(const std::string& script) const;
  void replace_for_good(const std::string& script) const;  // but when it is tried, all is well
  void restore() const;

  // Asked for within the namespace.
  ProgramRun upgrade(const ProcessOne& server, const std::string& pid_file) const;

 private:
  std::string program_;
  TempDir folder_;
  std::string start_ = folder_.path() / "start";
  std::string replaceable_ = folder_.path() / "program";
};

}  // namespace procpool::test
