// The program procpool-httpd, started for one test, and gone when the test is.
//
//   HttpServer server{{.arguments = {"--workers", "2"}}};
//   std::ofstream{server.root() / "index.html"} << "hello";
//   HttpClient client{server.port()};
//   EXPECT_EQ(server.stop(), proc::ExitStatus::exited(0)) << server.errors();
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "proc/child_options.hpp"
#include "tests/support/server_program.hpp"

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

// A ServerProgram that serves root().
class HttpServer : public ServerProgram {
 public:
  explicit HttpServer(HttpServerSetup setup = {});

  std::filesystem::path root() const { return folder() / "root"; }
};

using HttpdRun = ProgramRun;
HttpdRun run_httpd(const std::vector<std::string>& arguments,
                   const proc::ChildOptions& options = {});

}  // namespace procpool::test
