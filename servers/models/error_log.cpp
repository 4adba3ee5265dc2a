#include "servers/models/error_log.hpp"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"
#include "ipc/base/unique_fd.hpp"
#include "servers/models/log_file.hpp"

namespace procpool::models {
namespace {

// spdlog's own file sink opens its file without close-on-exec.
class DescriptorSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit DescriptorSink(std::string path)
      : path_{std::move(path)},
        opened_{path_ == "-" ? UniqueFd{} : open_log_file(path_)},
        fd_{path_ == "-" ? STDERR_FILENO : opened_.fd()} {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (write(line)) {
      failing_ = false;
    } else if (!std::exchange(failing_, true) && opened_.valid()) {
      const std::string text =
          "error log " + path_ + ": " + error_text(errno) + "; lines are lost\n";
      // If this fails too there is nobody left to tell.
      [[maybe_unused]] const ssize_t told = ::write(STDERR_FILENO, text.data(), text.size());
    }
  }

  // A pipe that nobody empties must not stop who writes into it: with POLLOUT there is room for
  // PIPE_BUF bytes, pipe(7).
  bool write(const spdlog::memory_buf_t& line) const {
    if (wait_ready(fd_, POLLOUT, Deadline::now()) == 0) {
      errno = EAGAIN;
      return false;
    }
    const std::size_t size = std::min<std::size_t>(line.size(), PIPE_BUF);
    return retry_eintr([&] { return ::write(fd_, line.data(), size); }) >= 0;
  }

  void flush_() override {}

  std::string path_;
  UniqueFd opened_;
  int fd_;
  bool failing_ = false;
};

}  // namespace

std::shared_ptr<spdlog::logger> make_error_log(const std::string& name, const std::string& path) {
  auto log = std::make_shared<spdlog::logger>(name, std::make_shared<DescriptorSink>(path));
  log->set_pattern("%Y-%m-%d %H:%M:%S.%e [%P] %l: %v");
  return log;
}

UniqueFd open_error_log(const std::string& path) {
  if (path != "-") return open_log_file(path);
  UniqueFd copy{::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)};
  if (!copy.valid()) throw_errno("fcntl(F_DUPFD_CLOEXEC)", "standard error");
  return copy;
}

}  // namespace procpool::models
