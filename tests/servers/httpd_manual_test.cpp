// The manual page of procpool-httpd tells what the program is, and troff(1) can set it.
#include <regex>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "tests/support/http_server.hpp"

namespace procpool::test {
namespace {

constexpr const char* kManual = PROCPOOL_HTTPD_MANUAL;

// All that the first group of the expression finds.
std::set<std::string> all_of(const std::string& text, const std::string& expression) {
  const std::regex pattern{expression};
  std::set<std::string> found;
  for (std::sregex_iterator at{text.begin(), text.end(), pattern}, end; at != end; ++at) {
    found.insert((*at)[1]);
  }
  return found;
}

TEST(Manual, has_the_options_that_help_has) {
  const auto helped = all_of(run_httpd({"--help"}).output, "\n +(?:-h,)?--([a-z-]+)");
  EXPECT_TRUE(helped.contains("workers") && helped.contains("help"));
  EXPECT_EQ(all_of(read_file(kManual), "\n\\.It Fl (?:h , )?-([a-z-]+)"), helped);
}

TEST(Manual, is_set_without_a_warning) {
  if (run_program({"sh", "-c", "command -v groff"}).status != proc::ExitStatus::exited(0)) {
    GTEST_SKIP() << "groff is not installed";
  }
  const HttpdRun run = run_program({"groff", "-ww", "-mandoc", "-Tutf8", "-z", kManual});
  EXPECT_EQ(run.status, proc::ExitStatus::exited(0)) << run.status.text();
  EXPECT_EQ(run.errors, "");
}

}  // namespace
}  // namespace procpool::test
