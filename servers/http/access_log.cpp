#include "servers/http/access_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/models/log_file.hpp"

namespace procpool::http {
namespace {

// Standard output anew, so that its O_NONBLOCK concerns nobody else: whoever empties a pipe slowly
// must not stop the server. A socket cannot be opened again, and is shared.
UniqueFd open_log(const std::string& path) {
  if (path != "-") return models::open_log_file(path);
  try {
    return models::open_log_file("/proc/self/fd/1");
  } catch (const Error&) {
    UniqueFd shared{::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)};
    if (!shared.valid()) throw_errno("open the access log", path);
    return shared;
  }
}

}  // namespace

AccessLog::AccessLog(AccessLogOptions options, Report report)
    : options_{std::move(options)}, report_{std::move(report)} {
  if (options_.path != "off") file_ = open_log(options_.path);
}

AccessLog::~AccessLog() {
  flush();
}

void AccessLog::add(const AccessRecord& record) {
  if (!enabled()) return;
  append_access_line(options_.format, record, buffer_);
  if (buffer_.size() >= kFlushSize) flush();
}

void AccessLog::flush() noexcept {
  if (buffer_.empty()) return;
  std::size_t written = 0;
  while (written < buffer_.size()) {
    const std::string_view rest = std::string_view{buffer_}.substr(written);
    const ssize_t n = retry_eintr([&] { return ::write(file_.fd(), rest.data(), rest.size()); });
    if (n < 0) return fail(errno, written);
    written += static_cast<std::size_t>(n);
  }
  buffer_.clear();
  torn_ = false;
  if (!std::exchange(failing_, false)) return;
  report_("access log \"" + options_.path +
          "\" is written again; lines lost so far: " + std::to_string(dropped_));
}

// Keeps the rest of a line of which a part is in the file, and drops the lines behind it.
void AccessLog::fail(int error_number, std::size_t written) {
  if (written > 0) torn_ = buffer_[written - 1] != '\n';
  const std::size_t kept_end = torn_ ? buffer_.find('\n', written) + 1 : written;
  dropped_ += static_cast<std::uint64_t>(
      std::count(buffer_.begin() + static_cast<std::ptrdiff_t>(kept_end), buffer_.end(), '\n'));
  buffer_.resize(kept_end);
  buffer_.erase(0, written);
  if (std::exchange(failing_, true)) return;
  report_("access log \"" + options_.path + "\": " + error_text(error_number) +
          "; lines are lost until it can be written");
}

void AccessLog::reopen() noexcept {
  if (!enabled() || options_.path == "-") return;
  flush();
  try {
    file_ = open_log(options_.path);
  } catch (const Error& error) {
    report_(error.what());
  }
}

}  // namespace procpool::http
