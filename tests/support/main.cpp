// The main function of every test program.
#include <unistd.h>

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/residue.hpp"
#include "tests/support/watchdog.hpp"

namespace procpool::test {
namespace {

class ProgressReport : public testing::EmptyTestEventListener {
 public:
  explicit ProgressReport(TestProgress& progress) : progress_{progress}, process_{::getpid()} {}
  void OnTestStart(const testing::TestInfo& test) override {
    if (::getpid() != process_) return;
    progress_.enter(std::string{test.test_suite_name()} + "." + test.name());
  }
  void OnTestEnd(const testing::TestInfo&) override {
    if (::getpid() == process_) progress_.leave();
  }

 private:
  TestProgress& progress_;
  pid_t process_;
};

}  // namespace
}  // namespace procpool::test

int main(int argc, char** argv) {
  using procpool::test::ProgressReport;
  using procpool::test::ResidueCheck;
  using procpool::test::TestProgress;
  testing::InitGoogleTest(&argc, argv);
  return procpool::test::run_under_watchdog([](TestProgress& progress) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    listeners.Append(std::make_unique<ProgressReport>(progress).release());  // gtest owns it
    listeners.Append(std::make_unique<ResidueCheck>().release());
    return RUN_ALL_TESTS();
  });
}
