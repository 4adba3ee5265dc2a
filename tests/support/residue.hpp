// Nothing is left behind: proven after every test, by a listener that main() installs.
#pragma once

#include <sys/types.h>

#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace procpool::test {

// After each test there is no child (this process is a subreaper: no orphan either), the
// descriptors are those from before it, and no file with a shared_name() of this process is new in
// /dev/shm. What is left fails the test and is cleaned up, so that the next one starts clean. In
// forked children it does nothing.
//
// Names that a program under test gave itself are not judged here, for test programs run side by
// side: its test knows them by its pid, and scripts/leaving-nothing sees all of them after the
// suite.
class ResidueCheck : public testing::EmptyTestEventListener {
 public:
  ResidueCheck();  // throws Error
  void OnTestStart(const testing::TestInfo&) override;
  void OnTestEnd(const testing::TestInfo&) override;

 private:
  using Descriptors = std::map<int, std::string>;
  static Descriptors open_descriptors();
  static std::set<std::string> shared_files();

  void check_children();
  void check_descriptors();
  void check_shared_files();

  pid_t process_;
  Descriptors descriptors_;
  std::set<std::string> shared_files_;
};

}  // namespace procpool::test
