#include "tests/support/watchdog.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <span>
#include <string>

#include "ipc/base/deadline.hpp"
#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/process_id.hpp"
#include "tests/support/children.hpp"

namespace procpool::test {
namespace {

using Record = std::array<char, 240>;  // small enough for a pipe to take it in one piece

int number_of(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::atoi(text) : otherwise;
}

std::chrono::seconds limit() {
  constexpr int kUsual = 60;
  const int with_storm = kUsual + 2 * number_of("PROCPOOL_STORM_SECONDS", 0);
  return std::chrono::seconds{number_of("PROCPOOL_TEST_TIMEOUT", with_storm)};
}

Deadline next_deadline() {
  const auto seconds = limit();
  return seconds.count() == 0 ? Deadline::never() : Deadline::in(seconds);
}

std::ostream& say(const std::string& test) {
  return std::cerr << "[ WATCHDOG ] " << (test.empty() ? "between two tests" : test) << ": ";
}

void die_with(pid_t parent) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) throw_errno("prctl", "PR_SET_PDEATHSIG");
  if (::getppid() != parent) ::_exit(EXIT_FAILURE);
}

int exit_code_of(pid_t runner, const std::string& test) {
  int status = 0;
  if (retry_eintr([&] { return ::waitpid(runner, &status, 0); }) < 0) {
    throw_errno("waitpid", "test process");
  }
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  const int signal_number = WTERMSIG(status);
  say(test) << "killed by signal " << signal_number << " (" << ::strsignal(signal_number) << ")\n";
  return 128 + signal_number;
}

// Follows the tests until their process has ended. False: one hangs.
bool follow(int progress, int runner, std::string& test) {
  std::array<pollfd, 2> items{{{.fd = progress, .events = POLLIN, .revents = 0},
                               {.fd = runner, .events = POLLIN, .revents = 0}}};
  Deadline deadline = next_deadline();
  for (;;) {
    const int n =
        retry_eintr([&] { return ::poll(items.data(), items.size(), deadline.poll_timeout()); });
    if (n < 0) throw_errno("poll", "test process");
    if (n == 0) return false;
    if ((items[0].revents & POLLIN) != 0) {
      Record record{};
      read_full(progress, std::as_writable_bytes(std::span{record}), "progress of the tests");
      test = record.data();
      deadline = next_deadline();
    } else if (items[1].revents != 0) {
      return true;
    } else {
      items[0].fd = -1;  // the tests are over, what is left is their exit
    }
  }
}

}  // namespace

void TestProgress::tell(std::string_view test) {
  Record record{};
  std::copy_n(test.begin(), std::min(test.size(), record.size() - 1), record.begin());
  write_full(pipe_.fd(), std::as_bytes(std::span{record}), "watchdog");
}

int run_under_watchdog(const std::function<int(TestProgress&)>& body) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) throw_errno("pipe2");
  UniqueFd reader{ends[0]};
  UniqueFd writer{ends[1]};
  become_subreaper();

  const pid_t watchdog = ::getpid();
  const pid_t runner = ::fork();
  if (runner < 0) throw_errno("fork");
  if (runner == 0) {
    die_with(watchdog);
    reader.reset();
    TestProgress progress{std::move(writer)};
    std::exit(body(progress));
  }
  writer.reset();
  const UniqueFd pidfd = open_pidfd(runner);

  std::string test;
  if (!follow(reader.fd(), pidfd.fd(), test)) {
    say(test) << "hangs for " << limit().count() << " s, killed with its children\n";
    ::kill(runner, SIGKILL);
    kill_and_reap_all();
    return EXIT_FAILURE;
  }
  const int code = exit_code_of(runner, test);
  kill_and_reap_all();
  return code;
}

}  // namespace procpool::test
