#include "ipc/base/io.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "ipc/base/error.hpp"
#include "ipc/base/unique_fd.hpp"

namespace procpool {
namespace {

bool would_block() noexcept {
  return errno == EAGAIN || errno == EWOULDBLOCK;
}

}  // namespace

std::size_t read_full(int fd, std::span<std::byte> buffer, std::string_view object) {
  std::size_t done = 0;
  while (done < buffer.size()) {
    const auto rest = buffer.subspan(done);
    const ssize_t n = retry_eintr([&] { return ::read(fd, rest.data(), rest.size()); });
    if (n == 0) break;
    if (n > 0) {
      done += static_cast<std::size_t>(n);
    } else if (would_block()) {
      wait_ready(fd, POLLIN, Deadline::never());
    } else {
      throw_errno("read", object);
    }
  }
  return done;
}

void write_full(int fd, std::span<const std::byte> bytes, std::string_view object) {
  while (!bytes.empty()) {
    const ssize_t n = retry_eintr([&] { return ::write(fd, bytes.data(), bytes.size()); });
    if (n >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    } else if (would_block()) {
      wait_ready(fd, POLLOUT, Deadline::never());
    } else {
      throw_errno("write", object);
    }
  }
}

void write_full(int fd, std::string_view text, std::string_view object) {
  write_full(fd, std::as_bytes(std::span{text}), object);
}

std::string read_to_end(int fd, std::string_view object, std::size_t limit) {
  constexpr std::size_t kStep = 16384;
  std::string text;
  for (;;) {
    const std::size_t before = text.size();
    text.resize(before + kStep);
    const auto room = std::as_writable_bytes(std::span{text}).subspan(before);
    const std::size_t n = read_full(fd, room, object);
    text.resize(before + n);
    if (text.size() > limit) throw_errno("read", object, EFBIG);
    if (n < kStep) return text;
  }
}

std::string read_file(const std::string& path, std::size_t limit) {
  const UniqueFd file{retry_eintr([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); })};
  if (!file.valid()) throw_errno("open", path);
  return read_to_end(file.fd(), path, limit);
}

short wait_ready(int fd, short events, Deadline deadline) {
  pollfd item{.fd = fd, .events = events, .revents = 0};
  for (;;) {
    const int n = ::poll(&item, 1, deadline.poll_timeout());
    if (n >= 0) return n == 0 ? short{0} : item.revents;
    if (errno != EINTR) throw_errno("poll", "descriptor " + std::to_string(fd));
  }
}

void set_blocking(int fd, Blocking blocking) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) throw_errno("fcntl", "descriptor " + std::to_string(fd));
  const int wanted = blocking == Blocking::yes ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
  if (wanted != flags && ::fcntl(fd, F_SETFL, wanted) < 0) {
    throw_errno("fcntl", "descriptor " + std::to_string(fd));
  }
}

}  // namespace procpool
