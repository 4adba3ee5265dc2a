#include "tests/support/http_server.hpp"

#include <utility>

namespace procpool::test {
namespace {

std::vector<std::string> command_line(const HttpServerSetup& setup,
                                      const std::filesystem::path& folder) {
  const std::filesystem::path root = folder / "root";
  std::filesystem::create_directory(root);
  std::vector<std::string> argv{setup.program};
  for (const std::string& address : setup.listen) argv.insert(argv.end(), {"--listen", address});
  if (!setup.built_in_site) argv.insert(argv.end(), {"--root", root});
  argv.insert(argv.end(), setup.arguments.begin(), setup.arguments.end());
  return argv;
}

}  // namespace

const std::string& httpd_program() {
  static const std::string path = PROCPOOL_HTTPD;
  return path;
}

HttpServer::HttpServer(HttpServerSetup setup)
    : ServerProgram{[&](const auto& folder) { return command_line(setup, folder); },
                    setup.listen.empty() ? 1 : setup.listen.size(), std::move(setup.child)} {}

HttpdRun run_httpd(const std::vector<std::string>& arguments, const proc::ChildOptions& options) {
  std::vector<std::string> argv{httpd_program()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run_program(argv, options);
}

}  // namespace procpool::test
