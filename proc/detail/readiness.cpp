#include "proc/detail/readiness.hpp"

#include <limits.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "ipc/base/io.hpp"

namespace procpool::proc::detail {
namespace {

// What goes down the pipe: one of these, and the reason after kFailed. A write of at most PIPE_BUF
// comes whole.
constexpr char kReady = 'R';
constexpr char kFailed = 'F';

}  // namespace

void say_ready(int writer) noexcept {
  [[maybe_unused]] const ssize_t n = ::write(writer, &kReady, 1);
}

void say_failed(int writer, std::string_view reason) {
  std::string text{kFailed};
  text.append(reason.substr(0, PIPE_BUF - 1));
  [[maybe_unused]] const ssize_t n = ::write(writer, text.data(), text.size());
}

std::optional<Readiness> read_readiness(int reader) {
  std::array<char, PIPE_BUF> text;
  const ssize_t n = retry_eintr([&] { return ::read(reader, text.data(), text.size()); });
  if (n < 0 && errno == EAGAIN) return std::nullopt;
  if (n > 0 && text.front() == kReady) return Readiness{.kind = Readiness::Kind::ready};
  if (n > 0 && text.front() == kFailed) {
    return Readiness{.kind = Readiness::Kind::failed,
                     .reason = {text.data() + 1, static_cast<std::size_t>(n) - 1}};
  }
  return Readiness{.kind = Readiness::Kind::silent};
}

}  // namespace procpool::proc::detail
