#include "servers/ftp/transfer_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/models/log_file.hpp"

namespace procpool::ftp {
namespace {

std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text)
    out.push_back(static_cast<unsigned char>(c) <= ' ' || c == '\x7f' ? '_' : c);
  return out;
}

}  // namespace

std::string transfer_line(const TransferRecord& record) {
  std::tm when{};
  ::localtime_r(&record.ended, &when);
  std::array<char, 40> time;
  const std::size_t length = std::strftime(time.data(), time.size(), "%a %b %e %H:%M:%S %Y", &when);
  std::string line{time.data(), length};
  line.append(" ").append(std::to_string(record.took.count()));
  line.append(" ").append(plain(record.client)).append(" ").append(std::to_string(record.bytes));
  line.append(" ").append(plain(record.file));
  line.append(record.as_text ? " a _ " : " b _ ").append(record.incoming ? "i " : "o ");
  line.append(record.anonymous ? "a " : "r ").append(plain(record.user));
  return line.append(" ftp 0 * ").append(record.complete ? "c\n" : "i\n");
}

TransferLog::TransferLog(const std::string& path) {
  if (path.empty() || path == "off") return;
  file_ = path == "-" ? UniqueFd{::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)}
                      : models::open_log_file(path);
  if (!file_.valid()) throw_errno("open", path);
}

void TransferLog::add(const TransferRecord& record) {
  if (!file_.valid()) return;
  const std::string line = transfer_line(record);
  retry_eintr([&] { return ::write(file_.fd(), line.data(), line.size()); });
}

}  // namespace procpool::ftp
