// A program as a user of ipc and proc writes it, with both ways to name a header.
#include <chrono>
#include <cstdio>

#include <procpool/proc/process.hpp>

#include "ipc/base/error.hpp"
#include "ipc/pipe.hpp"

int main() try {
  using namespace std::chrono_literals;
  using procpool::proc::Process;
  auto three = Process::fork([] { return 3; }, {.name = "three", .die_with_parent = true});
  auto echo = Process::spawn({"echo", "made by somebody else"});
  if (!echo.wait_for(60s)) echo.stop({{SIGTERM, 5s}, {SIGKILL, procpool::proc::kForever}});
  std::puts(three.wait().text().c_str());
  return three.wait() == procpool::proc::ExitStatus::exited(3) ? 0 : 1;
} catch (const procpool::Error& error) {
  std::puts(error.what());
  return 1;
}
