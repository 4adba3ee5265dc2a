// The access log: one line for each request, written many at a time.
//
//   AccessLog log{{"/var/log/access.log"}, [&](std::string_view news) { error_log.warn(news); }};
//   log.add({.client = peer, .time = clock.log_time(), .request_line = request.line,
//            .bytes = 1024});
//   if (log.has_lines()) timer.set(Deadline::in(100ms));     // and then, with one write(2):
//   log.flush();
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "ipc/base/unique_fd.hpp"
#include "servers/http/access_format.hpp"

namespace procpool::http {

struct AccessLogOptions {
  // A file (made with mode 0640 when missing), "-" for standard output, or "off".
  std::string path = "off";
  AccessFormat format = AccessFormat::combined;
};

// Owns the log's descriptor and the lines that wait for it. Of one process: after fork each makes
// its own (O_APPEND keeps whole writes apart). Never throws while serving, and a log that cannot be
// written never stops the server: the lines are dropped and counted, the first failure and the
// recovery are reported once each, and every flush tries again.
class AccessLog {
 public:
  // Told in one sentence when writing begins to fail, and when it works again. Must not throw.
  using Report = std::function<void(std::string_view sentence)>;

  static constexpr std::size_t kFlushSize = 65536;

  // Throws Error when the file cannot be opened.
  AccessLog(AccessLogOptions options, Report report);
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;
  ~AccessLog();  // flushes

  // False for "off": then there is nothing to gather either.
  bool enabled() const noexcept { return file_.valid(); }

  bool has_lines() const noexcept { return !buffer_.empty(); }  // that are not written

  // Keeps a line, which is lost if the process is killed before it is written; flushes when
  // kFlushSize is reached. Allocates only while the buffer grows.
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

  AccessLogOptions options_;
  Report report_;
  UniqueFd file_;
  std::string buffer_;
  std::uint64_t dropped_ = 0;
  bool failing_ = false;
  bool torn_ = false;  // the file ends within the line that begins the buffer
};

}  // namespace procpool::http
