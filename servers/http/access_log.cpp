#include "servers/http/access_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <utility>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/http/detail/grammar.hpp"
#include "servers/models/log_file.hpp"

namespace procpool::http {
namespace {

bool needs_escape(char c) noexcept {
  return is_control(c) || c == '"' || c == '\\' || static_cast<unsigned char>(c) >= 0x80;
}

void append_quoted(std::string_view text, std::string& out) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  out.push_back('"');
  if (text.empty()) out.push_back('-');
  while (!text.empty()) {
    const auto plain = static_cast<std::size_t>(
        std::find_if(text.begin(), text.end(), needs_escape) - text.begin());
    out.append(text.substr(0, plain));
    if (plain == text.size()) break;
    const auto byte = static_cast<unsigned char>(text[plain]);
    out.append({'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]});
    text.remove_prefix(plain + 1);
  }
  out.push_back('"');
}

void append_number(std::uint64_t value, std::string& out) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

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

void append_combined(const AccessRecord& record, std::string& out) {
  out.append(record.client.empty() ? "-" : record.client).append(" - - [");
  out.append(record.time).append("] ");
  append_quoted(record.request_line, out);
  out.push_back(' ');
  append_number(static_cast<std::uint64_t>(record.status), out);
  out.push_back(' ');
  append_number(record.bytes, out);
  out.push_back(' ');
  append_quoted(record.referer, out);
  out.push_back(' ');
  append_quoted(record.user_agent, out);
  out.push_back('\n');
}

AccessLog::AccessLog(std::string path, Report report)
    : path_{std::move(path)}, report_{std::move(report)} {
  if (path_ != "off") file_ = open_log(path_);
}

AccessLog::~AccessLog() {
  flush();
}

void AccessLog::add(const AccessRecord& record) {
  if (!enabled()) return;
  append_combined(record, buffer_);
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
  report_("access log \"" + path_ +
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
  report_("access log \"" + path_ + "\": " + error_text(error_number) +
          "; lines are lost until it can be written");
}

void AccessLog::reopen() noexcept {
  if (!enabled() || path_ == "-") return;
  flush();
  try {
    file_ = open_log(path_);
  } catch (const Error& error) {
    report_(error.what());
  }
}

}  // namespace procpool::http
