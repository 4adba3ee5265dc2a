// The program procpool-ftpd, started for one test, and gone when the test is.
//
//   FtpdServer server{{"--max-sessions", "2"}};         // serves root() to anonymous
//   FtpClient client{server.address()};
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "servers/net/address.hpp"
#include "tests/support/server_program.hpp"

namespace procpool::test {

inline const std::string& ftpd_program() {
  static const std::string path = PROCPOOL_FTPD;
  return path;
}

class FtpdServer : public ServerProgram {
 public:
  explicit FtpdServer(const std::vector<std::string>& arguments = {})
      : ServerProgram{[&](const std::filesystem::path& folder) {
          std::filesystem::create_directory(folder / "root");
          std::vector<std::string> argv{ftpd_program(), "--listen", "127.0.0.1:0", "--anonymous",
                                        folder / "root"};
          argv.insert(argv.end(), arguments.begin(), arguments.end());
          return argv;
        }} {}

  std::filesystem::path root() const { return folder() / "root"; }
  net::Address address() const {
    return net::Address::parse("127.0.0.1:" + std::to_string(port()));
  }
};

inline ProgramRun run_ftpd(std::vector<std::string> arguments, const std::string& input = {}) {
  arguments.insert(arguments.begin(), ftpd_program());
  return run_program(arguments, {}, input);
}

}  // namespace procpool::test
