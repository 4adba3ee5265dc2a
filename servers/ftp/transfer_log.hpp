// The log of transfers: a line for each, in the format of xferlog(5), as wu-ftpd's readers know it.
//
//   TransferLog log{"/var/log/xferlog"};
//   log.add({.client = "192.0.2.1", .user = "ada", .file = "/a", .bytes = 5, ...});
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include "ipc/base/unique_fd.hpp"

namespace procpool::ftp {

struct TransferRecord {
  std::time_t ended = 0;
  std::chrono::seconds took{};
  std::string_view client;
  std::string_view user;
  std::string_view file;
  std::uint64_t bytes = 0;
  bool as_text = false;
  bool incoming = false;
  bool anonymous = false;
  bool complete = false;
};

// With the newline. What came from the client is made harmless: white space and control bytes in a
// name are '_', so that nobody can forge a line or a field.
std::string transfer_line(const TransferRecord& record);

// Of one process. A log that cannot be written stops nobody.
class TransferLog {
 public:
  // "-": standard output; "off" or empty: none. Throws Error.
  explicit TransferLog(const std::string& path);
  void add(const TransferRecord& record);

 private:
  UniqueFd file_;
};

}  // namespace procpool::ftp
