#include "servers/ftp/transfer_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include <nlohmann/json.hpp>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "servers/models/log_file.hpp"

namespace procpool::ftp {
namespace {

using namespace std::chrono_literals;

std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text)
    out.push_back(static_cast<unsigned char>(c) <= ' ' || c == '\x7f' ? '_' : c);
  return out;
}

std::string xferlog_line(const TransferRecord& record) {
  std::tm when{};
  ::localtime_r(&record.ended, &when);
  std::array<char, 40> time;
  const std::size_t length = std::strftime(time.data(), time.size(), "%a %b %e %H:%M:%S %Y", &when);
  std::string line{time.data(), length};
  line.append(" ").append(std::to_string(record.took / 1s));
  line.append(" ").append(plain(record.client)).append(" ").append(std::to_string(record.bytes));
  line.append(" ").append(plain(record.file));
  line.append(record.as_text ? " a _ " : " b _ ").append(record.incoming ? "i " : "o ");
  line.append(record.anonymous ? "a " : "r ").append(plain(record.user));
  return line.append(" ftp 0 * ").append(record.complete ? "c\n" : "i\n");
}

std::string json_line(const TransferRecord& record) {
  std::tm when{};
  ::gmtime_r(&record.ended, &when);
  std::array<char, 40> time;
  const std::size_t length = std::strftime(time.data(), time.size(), "%FT%TZ", &when);
  const nlohmann::ordered_json object{
      {"time", std::string{time.data(), length}},
      {"client", record.client},
      {"user", record.user},
      {"anonymous", record.anonymous},
      {"direction", record.incoming ? "in" : "out"},
      {"file", record.file},
      {"type", record.as_text ? "A" : "I"},
      {"bytes", record.bytes},
      {"seconds", std::chrono::duration<double>{record.took}.count()},
      {"complete", record.complete}};
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string transfer_line(const TransferRecord& record, TransferLogFormat format) {
  return format == TransferLogFormat::json ? json_line(record) : xferlog_line(record);
}

TransferLog::TransferLog(const std::string& path, TransferLogFormat format) : format_{format} {
  if (path.empty() || path == "off") return;
  file_ = path == "-" ? UniqueFd{::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)}
                      : models::open_log_file(path);
  if (!file_.valid()) throw_errno("open", path);
}

void TransferLog::add(const TransferRecord& record) {
  if (!file_.valid()) return;
  const std::string line = transfer_line(record, format_);
  retry_eintr([&] { return ::write(file_.fd(), line.data(), line.size()); });
}

}  // namespace procpool::ftp
