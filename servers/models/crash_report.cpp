#include "servers/models/crash_report.hpp"

#include <execinfo.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <charconv>
#include <string_view>
#include <utility>

#include "ipc/base/error.hpp"

namespace procpool::models {
namespace {

constexpr int kMostFrames = 64;
constexpr int kNoLog = -1;
constexpr int kSignals[] = {SIGABRT, SIGSYS};

std::atomic<int> log_fd{kNoLog};

// A line that is made without allocation, and written at once, so that it does not mix with those
// of others.
class Line {
 public:
  Line& operator<<(std::string_view text) noexcept {
    used_ += text.copy(&line_.at(used_), line_.size() - 1 - used_);
    return *this;
  }
  Line& operator<<(int number) noexcept {
    std::array<char, 12> digits;
    const auto end = std::to_chars(digits.begin(), digits.end(), number).ptr;
    return *this << std::string_view{digits.data(), static_cast<std::size_t>(end - digits.data())};
  }
  // If this fails there is nobody left to tell.
  void write(int fd) const noexcept {
    [[maybe_unused]] const ssize_t written = ::write(fd, line_.data(), used_);
  }

 private:
  std::array<char, 128> line_{};
  std::size_t used_ = 0;
};

void write_heading(int fd, const siginfo_t& signal) noexcept {
  Line line;
  line << "process " << ::getpid();
  if (signal.si_signo == SIGSYS) {
    line << " made the system call " << signal.si_syscall << ", which it may not, at:\n";
  } else {
    line << " was aborted at:\n";
  }
  line.write(fd);
}

void report_backtrace(int signal_number, siginfo_t* signal, void*) {
  const int fd = log_fd.load();
  write_heading(fd, *signal);
  std::array<void*, kMostFrames> frames{};
  ::backtrace_symbols_fd(frames.data(), ::backtrace(frames.data(), kMostFrames), fd);
  ::raise(signal_number);  // SA_RESETHAND: once this has returned, the signal ends the process
}

}  // namespace

CrashReport::CrashReport(UniqueFd log) {
  void* frame = nullptr;
  ::backtrace(&frame, 1);
  write_to(std::move(log));
  struct sigaction action{};
  action.sa_sigaction = report_backtrace;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_SIGINFO);
  for (const int signal_number : kSignals) {
    if (::sigaction(signal_number, &action, nullptr) < 0) throw_errno("sigaction", "crash report");
  }
}

CrashReport::~CrashReport() {
  for (const int signal_number : kSignals) ::signal(signal_number, SIG_DFL);
  write_to(UniqueFd{});
}

void CrashReport::write_to(UniqueFd log) noexcept {
  const UniqueFd before{log_fd.exchange(log.valid() ? log.release() : kNoLog)};
}

}  // namespace procpool::models
