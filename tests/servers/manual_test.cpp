// The manual page of each server tells what the program is, and troff(1) can set it.
#include <regex>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "ipc/base/io.hpp"
#include "tests/support/server_program.hpp"

namespace procpool::test {
namespace {

class Manual : public testing::TestWithParam<const char*> {
 protected:
  std::string page() const { return std::string{PROCPOOL_MANUALS} + "/" + GetParam() + ".8"; }
  std::string help() const {
    return run_program({std::string{PROCPOOL_PROGRAMS} + "/" + GetParam(), "--help"}).output;
  }
};
INSTANTIATE_TEST_SUITE_P(Of, Manual, testing::Values("procpool-httpd", "procpool-ftpd"));

// All that the first group of the expression finds.
std::set<std::string> all_of(const std::string& text, const std::string& expression) {
  const std::regex pattern{expression};
  std::set<std::string> found;
  for (std::sregex_iterator at{text.begin(), text.end(), pattern}, end; at != end; ++at) {
    found.insert((*at)[1]);
  }
  return found;
}

TEST_P(Manual, has_the_options_that_help_has) {
  const auto helped = all_of(help(), "\n +(?:-h,)?--([a-z-]+)");
  EXPECT_TRUE(helped.contains("listen") && helped.contains("help"));
  EXPECT_EQ(all_of(read_file(page()), "\n\\.It Fl (?:h , )?-([a-z-]+)"), helped);
}

TEST_P(Manual, is_set_without_a_warning) {
  if (run_program({"sh", "-c", "command -v groff"}).status != proc::ExitStatus::exited(0)) {
    GTEST_SKIP() << "groff is not installed";
  }
  const ProgramRun run = run_program({"groff", "-ww", "-mandoc", "-Tutf8", "-z", page()});
  EXPECT_EQ(run.status, proc::ExitStatus::exited(0)) << run.status.text();
  EXPECT_EQ(run.errors, "");
}

}  // namespace
}  // namespace procpool::test
