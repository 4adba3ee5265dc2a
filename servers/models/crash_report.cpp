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

std::atomic<int> log_fd{kNoLog};

void say(int fd, std::string_view text) noexcept {
  // If this fails there is nobody left to tell.
  [[maybe_unused]] const ssize_t written = ::write(fd, text.data(), text.size());
}

void report_backtrace(int signal_number) {
  const int fd = log_fd.load();
  std::array<char, 16> pid{};
  const auto end = std::to_chars(pid.data(), pid.data() + pid.size(), ::getpid()).ptr;
  say(fd, "process ");
  say(fd, {pid.data(), static_cast<std::size_t>(end - pid.data())});
  say(fd, " was aborted at:\n");
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
