// The access log: one line for each request, in the combined format, written many at a time.
//
//   AccessLog log{"/var/log/access.log", [&](std::string_view news) { error_log.warn(news); }};
//   log.add({.client = peer, .time = clock.log_time(), .request_line = request.line,
//            .status = Status::ok, .bytes = 1024});
//   log.flush();            // one write(2), at the end of each turn of the loop
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "ipc/base/unique_fd.hpp"
#include "servers/http/status.hpp"

namespace procpool::http {

// One answered request. Views, good until add() returns.
struct AccessRecord {
  std::string_view client;        // its address; "-" is shown for an empty one
  std::string_view time;          // as ClockText::log_time() has it
  std::string_view request_line;  // raw
  Status status = Status::ok;
  std::uint64_t bytes = 0;  // of the body
  std::string_view referer = {};
  std::string_view user_agent = {};
};

// Appends the combined format of Apache's and nginx's logs, with the newline:
//   127.0.0.1 - - [06/Nov/1994:09:49:37 +0100] "GET / HTTP/1.1" 200 1024 "-" "curl/7.88.1"
// What came from the client is escaped: control bytes, '"', '\' and bytes from 0x7f on as \xHH. So
// no client can forge a line or send an escape sequence to a terminal.
void append_combined(const AccessRecord& record, std::string& out);

// Owns the log's descriptor and the lines that wait for it. Of one process: after fork each makes
// its own (O_APPEND keeps whole writes apart). Never throws while serving, and a log that cannot be
// written never stops the server: the lines are dropped and counted, the first failure and the
// recovery are reported once each, and every flush tries again.
class AccessLog {
 public:
  // Told in one sentence when writing begins to fail, and when it works again. Must not throw.
  using Report = std::function<void(std::string_view sentence)>;

  static constexpr std::size_t kFlushSize = 65536;

  // `path` is a file (made with mode 0640 when missing), "-" for standard output, or "off".
  // Throws Error when the file cannot be opened.
  AccessLog(std::string path, Report report);
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;
  ~AccessLog();  // flushes

  // False for "off": then there is nothing to gather either.
  bool enabled() const noexcept { return file_.valid(); }

  // Keeps a line; flushes when kFlushSize is reached. Allocates only while the buffer grows.
  void add(const AccessRecord& record);

  // Writes what was gathered with one write(2). Does not wait: what a full pipe does not take is
  // lost. (An inherited socket may make it wait.) Of a line that was cut by a full disk the rest
  // comes first next time.
  void flush() noexcept;

  // After a rotation: opens the path anew. When that fails the old file stays in use and it is
  // reported.
  void reopen() noexcept;

  // Lines lost so far because they could not be written.
  std::uint64_t dropped() const noexcept { return dropped_; }

 private:
  void fail(int error_number, std::size_t written);

  std::string path_;
  Report report_;
  UniqueFd file_;
  std::string buffer_;
  std::uint64_t dropped_ = 0;
  bool failing_ = false;
  bool torn_ = false;  // the file ends within the line that begins the buffer
};

}  // namespace procpool::http
