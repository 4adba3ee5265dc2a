// The log of transfers: a line for each, in the format of xferlog(5), as wu-ftpd's readers know it,
// or an object of JSON.
//
//   TransferLog log{"/var/log/xferlog", TransferLogFormat::xferlog};
//   log.add({.client = "192.0.2.1", .user = "ada", .file = "/a", .bytes = 5, ...});
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include "ipc/base/unique_fd.hpp"

namespace procpool::ftp {

struct TransferRecord {
  std::time_t ended = 0;
  std::chrono::milliseconds took{};
  std::string_view client;
  std::string_view user;
  std::string_view file;
  std::uint64_t bytes = 0;
  bool as_text = false;
  bool incoming = false;
  bool anonymous = false;
  bool complete = false;
};

enum class TransferLogFormat { xferlog, json };
inline constexpr std::array<std::string_view, 2> kTransferLogFormatNames{"xferlog", "json"};

// With the newline. xferlog: what came from the client is made harmless: white space and control
// bytes in a name are '_', so that nobody can forge a line or a field. json is an object (RFC 8259)
// in one line; bytes that are no UTF-8 are U+FFFD, the time is UTC:
// {"time":"1994-11-06T08:49:37Z","client":"192.0.2.1","user":"ada","anonymous":false,
//  "direction":"out","file":"/a","type":"I","bytes":5,"seconds":1.5,"complete":true}
std::string transfer_line(const TransferRecord& record, TransferLogFormat format);

// Of one process. A log that cannot be written stops nobody.
class TransferLog {
 public:
  // "-": standard output; "off" or empty: none. Throws Error.
  TransferLog(const std::string& path, TransferLogFormat format);
  void add(const TransferRecord& record);

 private:
  UniqueFd file_;
  TransferLogFormat format_;
};

}  // namespace procpool::ftp
