// The CGI programs of a worker, while they run.
//
//   CgiRunner runner{loop, report, {.timeout = 30s, .programs = 16}};
//   auto program = runner.start({.argv = {"/usr/lib/cgi-bin/hello"}, .environment = ..., ...});
//   while (std::size_t n = co_await program->read(buffer, deadline)) use(buffer.first(n));
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/base/deadline.hpp"
#include "ipc/base/error.hpp"
#include "ipc/base/loop.hpp"
#include "ipc/base/unique_fd.hpp"
#include "proc/process.hpp"
#include "servers/net/task.hpp"

namespace procpool::http {

struct CgiLimits {
  // From the start to the end of the head, and then without output.
  std::chrono::milliseconds timeout{30'000};
  unsigned programs = 16;  // at once, in each worker

  bool operator==(const CgiLimits&) const = default;
};

// It took longer than CgiLimits::timeout.
class CgiTimeout : public Error {
 public:
  explicit CgiTimeout(std::string_view name)
      : Error{"run", name, "it has written nothing for too long"} {}
};

// One program, in a process group of its own. Destroyed, it is killed with its group, and reaped
// without waiting for it. It must not outlive its runner, whose thread uses it.
class CgiProgram {
 public:
  CgiProgram(const CgiProgram&) = delete;
  CgiProgram& operator=(const CgiProgram&) = delete;
  ~CgiProgram();

  // What it has written, at least a byte; 0: the end. Throws CgiTimeout.
  net::Task<std::size_t> read(std::span<char> buffer, Deadline deadline);

  // After the end of its output: waits a moment for its own, and throws Error, saying how it ended,
  // if it was killed by a signal.
  net::Task<> expect_good_end();

 private:
  friend class CgiRunner;
  CgiProgram(class CgiRunner& runner, proc::Process process, std::string name);

  CgiRunner& runner_;
  proc::Process process_;
  UniqueFd output_;
  std::string name_;
};

// Of one worker. Programs that are told to end are reaped as they do; those that are left at its
// own end, then.
class CgiRunner {
 public:
  using Report = std::function<void(std::string_view line)>;  // for the error log; must not throw

  CgiRunner(Loop& loop, Report report, CgiLimits limits);

  struct Order {
    std::string file;
    std::vector<std::string> environment;
    UniqueFd input;  // not valid: /dev/null
  };
  // Runs the file in its own folder, with no descriptor of this process. What it writes to its
  // standard error is reported line by line, the first kMostLines of them. Nullptr: so many run
  // already. Throws Error: it cannot be run.
  std::unique_ptr<CgiProgram> start(const Order& order);

  void report(std::string_view line) const { report_(line); }
  const CgiLimits& limits() const noexcept { return limits_; }

  static constexpr int kMostLines = 100;

 private:
  friend class CgiProgram;
  net::Task<> report_errors(UniqueFd pipe, std::string name);
  net::Task<> bury(proc::Process process);

  Loop& loop_;
  Report report_;
  CgiLimits limits_;
  unsigned running_ = 0;
  net::TaskGroup tasks_;  // last: they use all of the above
};

}  // namespace procpool::http
