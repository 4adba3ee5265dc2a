// A function in a child process, which is gone when the test is.
//
//   Gate locked;
//   Forked child{[&] { mutex.lock(); locked.open(); pause(); }};
//   locked.wait();
//   child.kill(SIGKILL);
//   EXPECT_EQ(child.wait(), killed_by(SIGKILL));
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <concepts>
#include <functional>
#include <iosfwd>
#include <optional>
#include <type_traits>
#include <utility>

#include "ipc/base/unique_fd.hpp"

namespace procpool::test {

// How a child ended: by itself with a code, or by a signal.
struct Ending {
  bool by_signal = false;
  int number = 0;

  friend bool operator==(const Ending&, const Ending&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Ending& ending);
};
constexpr Ending exited(int code) {
  return {.by_signal = false, .number = code};
}
constexpr Ending killed_by(int signal_number) {
  return {.by_signal = true, .number = signal_number};
}

inline constexpr int kThrew = 70;  // the exit code of a body that threw; the text is on stderr
inline constexpr int kExpectFailed = 71;  // the exit code of one in which an EXPECT failed

// Owned by the process that made it, and by one thread. The body may return void (exit code 0) or
// an int; it runs in a copy of this process and ends in _exit(2), so that nothing of the test is
// cleaned up twice. The destructor kills and reaps what still runs.
class Forked {
 public:
  template <std::invocable Body>
  explicit Forked(Body body) {
    start([&]() -> int {
      if constexpr (std::is_void_v<std::invoke_result_t<Body&>>) {
        body();
        return 0;
      } else {
        return body();
      }
    });
  }
  Forked(Forked&& other) noexcept
      : pid_{std::exchange(other.pid_, 0)},
        pidfd_{std::move(other.pidfd_)},
        ending_{std::exchange(other.ending_, std::nullopt)} {}
  Forked& operator=(Forked&&) = delete;
  ~Forked();

  pid_t pid() const noexcept { return pid_; }
  int pidfd() const noexcept { return pidfd_.fd(); }  // readable once it has ended

  void kill(int signal_number);
  bool ended() const;  // also when it is not reaped yet

  // Blocks until it has ended, and reaps it. Says the same again afterwards.
  Ending wait();

 private:
  void start(const std::function<int()>& body);

  pid_t pid_ = 0;
  UniqueFd pidfd_;
  std::optional<Ending> ending_;
};

}  // namespace procpool::test
