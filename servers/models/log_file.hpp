// The file of a log: opened by every process for itself, made by the master.
//
//   make_log_file("/var/log/x.log", credentials);       // in the master, before the workers
//   UniqueFd file = open_log_file("/var/log/x.log");    // in each process; again after a rotation
#pragma once

#include <optional>
#include <string>

#include "ipc/base/unique_fd.hpp"
#include "proc/credentials.hpp"

namespace procpool::models {

// For appending, close-on-exec, and made with mode 0640 if it is not there. Non-blocking: a FIFO
// without a reader is refused (ENXIO), and a full one says so (EAGAIN) instead of stopping who
// writes. Throws Error.
UniqueFd open_log_file(const std::string& path);

// Makes the file if it is not there, and gives it to `owner`: by a master who may do so, for
// workers who may not. A link, symbolic or hard, is left as it is: in a directory of the owner's it
// may lead to any file, which must not be given away. Throws Error.
void make_log_file(const std::string& path, const std::optional<proc::Credentials>& owner);

}  // namespace procpool::models
