// The error log of a server: one per process, to a file or to standard error.
//
//   auto log = make_error_log("procpool-httpd", "/var/log/x.log");        // "-": standard error
//   log->error("accept on {}: {}", address.text(), reason);
#pragma once

#include <memory>
#include <string>

#include <spdlog/logger.h>

#include "ipc/base/unique_fd.hpp"

namespace procpool::models {

// A synchronous logger: each line is one write(2) to a close-on-exec descriptor in append mode, so
// that the lines of several processes do not mix. Of one process and one thread: after fork each
// makes its own. A log that cannot be written any more (full disk, full pipe) stops nobody: the
// first failure is told on standard error, the lines are lost until it can be written again. Throws
// Error when the file cannot be opened.
std::shared_ptr<spdlog::logger> make_error_log(const std::string& name, const std::string& path);

// A descriptor of the same log, for who cannot use a logger. Throws Error.
UniqueFd open_error_log(const std::string& path);

}  // namespace procpool::models
