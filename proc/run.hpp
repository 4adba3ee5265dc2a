// Runs programs to their end, and gives back what they wrote.
//
//   RunResult built = run({"make", "-j2"}, {.working_directory = "/src"},
//                         {.deadline = Deadline::in(60s)});
//   if (built.timed_out || !built.status.success()) print(built.err);
//   run({"sort"}, {}, {.input = "b\na\n"}).out;                          // "a\nb\n"
//   run_pipeline({{{"ls"}}, {{"wc", "-l"}}}).statuses;                   // of both
#pragma once

#include <signal.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "ipc/base/deadline.hpp"
#include "proc/child_options.hpp"
#include "proc/escalation.hpp"
#include "proc/exit_status.hpp"
#include "proc/pipeline.hpp"

namespace procpool::proc {

// A value.
struct RunOptions {
  std::optional<std::string> input{};  // what comes on stdin; unset: the parent's stdin

  // By then it has ended, or is made to: at_deadline is carried out, on the whole group of a
  // program that leads one (ProcessGroup::own, session), of which then nobody is left.
  Deadline deadline = Deadline::never();
  Escalation at_deadline{{SIGKILL, kForever}};

  // How long the end of the output is waited for when the programs have ended, but others still
  // hold their pipes. What the programs themselves wrote is complete without.
  Deadline::Clock::duration drain{0};

  std::size_t limit = std::size_t{1} << 30;  // bytes of stdout, and of stderr
};

struct RunResult {
  ExitStatus status;
  std::string out{};
  std::string err{};
  bool timed_out = false;
};

struct PipelineResult {
  std::vector<ExitStatus> statuses{};  // in the order of the programs
  std::string out{};                   // of the last one
  std::string err{};                   // of all
  bool timed_out = false;
};

// Starts a program, feeds it, and waits for its end, whoever else may hold its pipes then. stdout
// and stderr come back, but for what a redirection of the caller connects otherwise: {fd(2, 1)}
// puts stderr into stdout, {fd(1, 1)} leaves stdout as the parent's. A program that does not read
// all of its input is no error. options.on_destroy does not matter. Blocks. Any thread may call it.
// Throws Error: as Process::spawn; EFBIG when it writes more than the limit. No process is left
// then.
RunResult run(const std::vector<std::string>& argv, const ChildOptions& child = {},
              const RunOptions& options = {});

// The same for a pipeline: waits for all of its programs. Without a program there is no result.
PipelineResult run_pipeline(const std::vector<Program>& programs, const RunOptions& options = {});

}  // namespace procpool::proc
