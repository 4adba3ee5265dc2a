// What a process was doing when it was aborted, or left its sandbox: its raw backtrace, for
// addr2line(1).
//
//   CrashReport report{open_error_log(path)};
//   ... kill -ABRT ...     process 12 was aborted at:
//                          /usr/bin/procpool-httpd(+0x1234)[0x55d0c0a01234]
#pragma once

#include "ipc/base/unique_fd.hpp"

namespace procpool::models {

// As long as it lives, SIGABRT and SIGSYS write where the process is, one line for each frame,
// innermost first, and of SIGSYS which system call was refused, by its number; and then end the
// process by that signal, with a core where one is wanted. One in a
// process. What the handler calls allocates no memory: backtrace(3) is called once before, because
// it loads a library the first time. It is not on POSIX's list of what a handler may call, and may
// fail where the stack is damaged; the process ends then too, by another signal.
class CrashReport {
 public:
  explicit CrashReport(UniqueFd log);
  CrashReport(const CrashReport&) = delete;
  CrashReport& operator=(const CrashReport&) = delete;
  ~CrashReport();

  void write_to(UniqueFd log) noexcept;  // from now on; the logs are reopened
};

}  // namespace procpool::models
