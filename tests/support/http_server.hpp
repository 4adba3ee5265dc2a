// The program procpool-httpd, started for one test, and gone when the test is.
//
//   HttpServer server{{.arguments = {"--workers", "2"}}};
//   std::ofstream{server.root() / "index.html"} << "hello";
//   HttpClient client{server.port()};
//   EXPECT_EQ(server.stop(), proc::ExitStatus::exited(0)) << server.errors();
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "proc/child_options.hpp"
#include "proc/escalation.hpp"
#include "proc/exit_status.hpp"
#include "proc/process.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/temp_dir.hpp"

namespace procpool::test {

// Where the program lies.
const std::string& httpd_program();

struct HttpServerSetup {
  std::string program = httpd_program();
  std::vector<std::string> arguments{};
  std::vector<std::string> listen{"127.0.0.1:0"};  // one --listen each
  bool built_in_site = false;                      // no --root
  proc::ChildOptions child{};                      // but for its redirections
};

// Owned by the process and the thread that made it, and dies with that thread. Its standard output
// is a pipe, its standard error a file. The destructor sends INT, which ends the workers first. A
// test that kills the master reaps the orphans itself: await_no_children().
class HttpServer {
 public:
  // Returns when it serves. Throws Error, with what it wrote to standard error, if it ends before.
  explicit HttpServer(HttpServerSetup setup = {});
  ~HttpServer();

  std::uint16_t port() const { return port_of(0); }
  std::uint16_t port_of(std::size_t listener) const;  // in the order of `listen`
  const std::vector<std::string>& urls() const noexcept { return urls_; }

  const std::filesystem::path& folder() const noexcept { return folder_.path(); }  // of the test
  std::filesystem::path root() const { return folder() / "root"; }                 // what it serves

  proc::Process& process() noexcept { return process_; }
  pid_t pid() const noexcept { return process_.pid(); }
  std::vector<pid_t> worker_pids() const;  // those that live at this moment

  std::string errors() const;                       // what it wrote to standard error up to now
  bool await_error(const std::string& text) const;  // until that appears in it
  std::string output();  // what it wrote to standard output since the last call, not blocking

  void signal(int signal_number) { process_.signal(signal_number); }

  // Sends the signal and waits for the end; kills it if it does not come.
  proc::ExitStatus stop(int signal_number = SIGTERM);

 private:
  std::string read_line();

  TempDir folder_;
  proc::Process process_;
  std::string unread_;
  std::vector<std::string> urls_;
};

// The program run to its end, with no terminal and nothing to read.
struct HttpdRun {
  proc::ExitStatus status;
  std::string output;
  std::string errors;
};
HttpdRun run_httpd(const std::vector<std::string>& arguments,
                   const proc::ChildOptions& options = {});

// The same for any program.
HttpdRun run_program(const std::vector<std::string>& argv, proc::ChildOptions options = {});

}  // namespace procpool::test
