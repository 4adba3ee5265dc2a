// Reading and writing descriptors without the traps: EINTR, short counts, SIGPIPE's errno.
//
//   write_full(fd, "hello", "pipe");                        // all of it, or an Error
//   std::size_t n = read_full(fd, buffer, "pipe");          // less than asked: the end came first
//   ssize_t n = retry_eintr([&] { return ::accept4(...); });
#pragma once

#include <cerrno>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "ipc/base/deadline.hpp"

namespace procpool {

// Calls again while a system call fails with EINTR. For calls that may be restarted: not close(2),
// and not sleeps with a relative time.
template <typename Call>
auto retry_eintr(Call&& call) noexcept(noexcept(call())) {
  decltype(call()) result;
  do {
    result = call();
  } while (result == -1 && errno == EINTR);
  return result;
}

// Blocks until the buffer is full or the end of the stream; returns how much was read.
// Throws Error naming `object`. A descriptor in non-blocking mode is waited for.
std::size_t read_full(int fd, std::span<std::byte> buffer, std::string_view object);

// Blocks until everything is written. Throws Error naming `object` (EPIPE when nobody reads: the
// caller is expected to ignore SIGPIPE). A descriptor in non-blocking mode is waited for.
void write_full(int fd, std::span<const std::byte> bytes, std::string_view object);
void write_full(int fd, std::string_view text, std::string_view object);

// Reads until the end of the stream. Throws Error, also (EFBIG) when more than `limit` bytes come.
std::string read_to_end(int fd, std::string_view object, std::size_t limit = std::size_t{1} << 30);

// The whole of a file such as /proc/self/status. Throws Error naming the path.
std::string read_file(const std::string& path, std::size_t limit = std::size_t{1} << 30);

// Waits until `events` (poll(2): POLLIN, POLLOUT) or an error or hang-up is there.
// Returns the events, or 0 when the deadline passed. Throws Error.
short wait_ready(int fd, short events, Deadline deadline);

// Turns O_NONBLOCK on or off. It belongs to the open file description: whoever shares it, sees it.
enum class Blocking { yes, no };
void set_blocking(int fd, Blocking blocking);

}  // namespace procpool
