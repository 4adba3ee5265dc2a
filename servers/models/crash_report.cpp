#include "servers/models/crash_report.hpp"

#include <execinfo.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
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

std::atomic<int> log_fd{kNoLog};

// In one write(2), so that it does not mix with the lines of others. Allocates nothing.
void write_heading(int fd) noexcept {
  constexpr std::string_view kBefore = "process ";
  constexpr std::string_view kAfter = " was aborted at:\n";
  std::array<char, 64> line{};
  char* end = std::copy(kBefore.begin(), kBefore.end(), line.data());
  end = std::to_chars(end, line.data() + line.size(), ::getpid()).ptr;
  end = std::copy(kAfter.begin(), kAfter.end(), end);
  // If this fails there is nobody left to tell.
  [[maybe_unused]] const ssize_t written =
      ::write(fd, line.data(), static_cast<std::size_t>(end - line.data()));
}

void report_backtrace(int signal_number) {
  const int fd = log_fd.load();
  write_heading(fd);
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
  action.sa_handler = report_backtrace;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  if (::sigaction(SIGABRT, &action, nullptr) < 0) throw_errno("sigaction", "SIGABRT");
}

CrashReport::~CrashReport() {
  ::signal(SIGABRT, SIG_DFL);
  write_to(UniqueFd{});
}

void CrashReport::write_to(UniqueFd log) noexcept {
  const UniqueFd before{log_fd.exchange(log.valid() ? log.release() : kNoLog)};
}

}  // namespace procpool::models
