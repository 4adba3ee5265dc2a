// The error log of a server: one per process, to a file or to standard error.
//
//   make_log_file("/var/log/x.log", credentials);             // in the master, before the workers
//   auto log = make_error_log("procpool-httpd", "/var/log/x.log");        // "-": standard error
//   log->error("accept on {}: {}", address.text(), reason);
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <spdlog/logger.h>

#include "proc/credentials.hpp"

namespace procpool::models {

// A synchronous logger: each line is one write(2) to a close-on-exec descriptor in append mode, so
// that the lines of several processes do not mix. Of one process and one thread: after fork each
// makes its own. A log that cannot be written any more (full disk, full pipe) stops nobody: the
// first failure is told on standard error, the lines are lost until it can be written again. Throws
// Error when the file cannot be opened.
std::shared_ptr<spdlog::logger> make_error_log(const std::string& name, const std::string& path);

// Makes the file, mode 0640, if it is not there, and gives it to `owner`: by a master who may do
// so, for workers who may not. A link, symbolic or hard, is left as it is: in a directory of the
// owner's it may lead to any file, which must not be given away. Throws Error.
void make_log_file(const std::string& path, const std::optional<proc::Credentials>& owner);

}  // namespace procpool::models
