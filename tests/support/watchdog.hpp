// The process above every test program: it ends what hangs, and says which test it was.
//
//   return run_under_watchdog([](TestProgress& progress) { ... progress.enter("Mutex.x"); ... });
#pragma once

#include <functional>
#include <string_view>

#include "ipc/base/unique_fd.hpp"

namespace procpool::test {

// Tells the watchdog what is running now; each word of it starts the clock again.
class TestProgress {
 public:
  explicit TestProgress(UniqueFd pipe) : pipe_{std::move(pipe)} {}
  void enter(std::string_view test) { tell(test); }
  void leave() { tell({}); }

 private:
  void tell(std::string_view test);
  UniqueFd pipe_;
};

// Runs `body` in a child of this process and returns what it returned. The watchdog is a process
// and no thread or timer, so that a test may fork, and do with signals what it likes. When a test
// takes longer than PROCPOOL_TEST_TIMEOUT seconds (60, and twice PROCPOOL_STORM_SECONDS; 0: for
// ever), the child and all of its descendants are killed; they also die with the watchdog. For gdb:
// set follow-fork-mode child.
int run_under_watchdog(const std::function<int(TestProgress&)>& body);

}  // namespace procpool::test
