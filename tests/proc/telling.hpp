// What children and errors say, as text.
//
//   EXPECT_EQ(output_of("ulimit -n", {.limits = {{RLIMIT_NOFILE, 77, 77}}}), "77\n");
//   EXPECT_EQ(told_by_child([] { return status_field("Name"); }, {.name = "x"}), "x");
#pragma once

#include <unistd.h>

#include <functional>
#include <ostream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "proc/process.hpp"

namespace procpool::proc {

inline void PrintTo(const ExitStatus& status, std::ostream* out) {
  *out << status.text();
}

inline int sleep_for_ever() {
  for (;;) ::pause();
}

// The error that a call throws, as text.
template <typename Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// What a shell command prints.
inline std::string output_of(const std::string& command, ChildOptions options = {}) {
  options.redirections.push_back(Redirection::pipe_from(STDOUT_FILENO));
  Process shell = Process::spawn({"/bin/sh", "-c", command}, options);
  std::string text = read_to_end(shell.pipe(STDOUT_FILENO).fd(), "sh");
  EXPECT_EQ(shell.wait(), ExitStatus::exited(0)) << command;
  return text;
}

// A field of /proc/self/status.
inline std::string status_field(const std::string& field) {
  std::istringstream status{read_file("/proc/self/status")};
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) return line.substr(field.size() + 2);
  }
  return {};
}

inline char state_of(pid_t pid) {
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  return stat.at(stat.rfind(')') + 2);
}

// What a forked child says of itself: its body's text comes back.
inline std::string told_by_child(const std::function<std::string()>& body,
                                 ChildOptions options = {}) {
  options.redirections.push_back(Redirection::pipe_from(STDOUT_FILENO));
  Process child = Process::fork(
      [&] {
        write_full(STDOUT_FILENO, body(), "stdout");
        return 0;
      },
      options);
  std::string text = read_to_end(child.pipe(STDOUT_FILENO).fd(), "child");
  EXPECT_EQ(child.wait(), ExitStatus::exited(0));
  return text;
}

}  // namespace procpool::proc
