// Where something is shown by processes: who they are, what they say, and what is proved.
//
//   auto reader = stage.enter("reader", [&] { stage.say("reads"); ... });
//   stage.await_sleep(reader);                      // it waits now
//   stage.kill(reader);
//   stage.prove("bytes that arrived", 12, bytes);   // expected, observed
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "ipc/base/unique_fd.hpp"
#include "ipc/channel.hpp"
#include "ipc/mutex.hpp"
#include "ipc/shared.hpp"
#include "proc/process.hpp"
#include "tools/text.hpp"

namespace procpool::demo {

using Clock = std::chrono::steady_clock;

// What one process said.
struct Line {
  enum class Kind : std::uint8_t { said, proved, refuted };

  Clock::duration time;  // since the start of the scenario
  pid_t pid;
  Kind kind;
  std::string role;
  std::string words;
};

struct StageState {
  ipc::Mutex speaking;
  std::atomic<Clock::rep> killed_at = 0;
};

// Shared by all processes of a scenario, which inherit it over fork. A line gets its time and
// enters the channel under one lock, so lines arrive in the order of their times. Whoever is killed
// while he speaks holds nobody up: that lock is an ipc::Mutex.
class Stage {
 public:
  // Lines go into `lines`, from this process under the role "director". `name` is for whatever has
  // to have one; nothing else on this machine bears it.
  Stage(ipc::Channel lines, std::string name);

  // A process of the scenario. It dies with its parent, and SIGPIPE is ignored in it.
  proc::Process enter(std::string role, const std::function<void()>& act);

  template <typename... Parts>
  void say(const Parts&... parts) {
    send(Line::Kind::said, text(parts...));
  }

  // What has to be so: the same text expected and observed. A difference makes the program fail.
  template <typename Expected, typename Observed>
  void prove(std::string_view what, const Expected& expected, const Observed& observed) {
    prove_texts(what, part(expected), part(observed));
  }

  // Blocks until the process waits in a system call. Throws Error when it has ended instead.
  static void await_sleep(const proc::Process& process);

  // SIGKILL, said and reaped.
  void kill(proc::Process& victim);

  // Since the last kill(), in any process.
  double ms_since_kill() const;

  // Waits for the process; throws Error if it did not end well.
  void finish(proc::Process& process);

  const std::string& name() const noexcept { return name_; }

 private:
  void send(Line::Kind kind, std::string_view words);
  void prove_texts(std::string_view what, std::string_view expected, std::string_view observed);

  ipc::Channel lines_;
  std::string name_;
  std::string role_ = "director";
  Clock::time_point start_ = Clock::now();
  ipc::Shared<StageState> state_;
};

// The next line of a scenario; nullopt: all of its processes are gone. Throws Error.
std::optional<Line> receive_line(ipc::Channel& lines);

// A cue between processes: not given until somebody gives it, and given from then on.
class Cue {
 public:
  Cue();
  void give();
  void await() const;

 private:
  UniqueFd event_;
};

}  // namespace procpool::demo
