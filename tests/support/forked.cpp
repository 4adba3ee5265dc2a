#include "tests/support/forked.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <iostream>
#include <ostream>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/process_id.hpp"

#ifdef PROCPOOL_COVERAGE
extern "C" void __gcov_dump();
#endif

namespace procpool::test {
namespace {

void flush_output() {
  std::cout.flush();
  std::cerr.flush();
  std::fflush(nullptr);
}

int guarded(const std::function<int()>& body) noexcept {
  try {
    const int code = body();
    return testing::Test::HasFailure() ? kExpectFailed : code;
  } catch (const std::exception& error) {
    std::cerr << "in child " << ::getpid() << ": " << error.what() << '\n';
  } catch (...) {
    std::cerr << "in child " << ::getpid() << ": something that is no std::exception\n";
  }
  return kThrew;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Ending& ending) {
  return out << (ending.by_signal ? "killed by signal " : "exited with ") << ending.number;
}

void Forked::start(const std::function<int()>& body) {
  flush_output();  // or both processes would write what is buffered
  pid_ = ::fork();
  if (pid_ < 0) throw_errno("fork");
  if (pid_ == 0) {
    const int code = guarded(body);
    flush_output();
#ifdef PROCPOOL_COVERAGE
    __gcov_dump();  // which _exit leaves out
#endif
    ::_exit(code);  // the sanitizers' findings still replace the code
  }
  pidfd_ = open_pidfd(pid_);
}

Forked::~Forked() {
  if (!pidfd_.valid() || ending_) return;
  send_signal(pidfd_.fd(), SIGKILL);
  wait();
}

void Forked::kill(int signal_number) {
  if (!send_signal(pidfd_.fd(), signal_number)) throw_errno("kill", "child", ESRCH);
}

bool Forked::ended() const {
  return has_ended(pidfd_.fd());
}

Ending Forked::wait() {
  if (ending_) return *ending_;
  siginfo_t info{};
  const auto pidfd = static_cast<id_t>(pidfd_.fd());
  if (retry_eintr([&] { return ::waitid(P_PIDFD, pidfd, &info, WEXITED); }) < 0) {
    throw_errno("waitid", "child");
  }
  ending_ = {.by_signal = info.si_code != CLD_EXITED, .number = info.si_status};
  return *ending_;
}

}  // namespace procpool::test
