// How a process ended: by itself, with a code, or by a signal.
//
//   ExitStatus status = child.wait();
//   if (status.success()) ...
//   if (auto code = status.code()) ...            // nullopt: it was killed
//   log(status.text());                           // "killed by SIGSEGV (core dumped)"
#pragma once

#include <signal.h>

#include <optional>
#include <string>

namespace procpool::proc {

// A value. A code and a signal are never merged into one number (as a shell does with 128+n).
class ExitStatus {
 public:
  enum class Core { none, dumped };

  static constexpr ExitStatus exited(int code) noexcept { return {code, 0, Core::none}; }
  static constexpr ExitStatus signaled(int signal, Core core = Core::none) noexcept {
    return {0, signal, core};
  }

  // What waitid(2) filled in for a process that has ended (si_code CLD_EXITED, CLD_KILLED,
  // CLD_DUMPED).
  static ExitStatus from_siginfo(const siginfo_t& info) noexcept;
  // What wait(2) and waitpid(2) give for a process that has ended.
  static ExitStatus from_wait_status(int wait_status) noexcept;

  constexpr bool success() const noexcept { return signal_ == 0 && code_ == 0; }
  constexpr std::optional<int> code() const noexcept {  // 0..255
    return signal_ == 0 ? std::optional{code_} : std::nullopt;
  }
  constexpr std::optional<int> signal() const noexcept {
    return signal_ != 0 ? std::optional{signal_} : std::nullopt;
  }
  constexpr bool core_dumped() const noexcept { return core_ == Core::dumped; }

  std::string text() const;  // "exited with code 3", "killed by SIGKILL"

  friend constexpr bool operator==(const ExitStatus&, const ExitStatus&) = default;

 private:
  constexpr ExitStatus(int code, int signal, Core core) noexcept
      : code_{code}, signal_{signal}, core_{core} {}

  int code_;
  int signal_;  // 0: none
  Core core_;
};

// "SIGTERM", "SIGRTMIN+2", or "signal 99" for what is no signal. See signal(7).
std::string signal_name(int signal_number);

}  // namespace procpool::proc
