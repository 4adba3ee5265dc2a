#include "ipc/pipe.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>

#include "ipc/base/error.hpp"
#include "ipc/base/io.hpp"

namespace procpool::ipc {

std::size_t PipeReader::read_some(std::span<std::byte> buffer) {
  const ssize_t n = retry_eintr([&] { return ::read(fd(), buffer.data(), buffer.size()); });
  if (n < 0) throw_errno("read", "pipe");
  return static_cast<std::size_t>(n);
}

std::size_t PipeReader::read_full(std::span<std::byte> buffer) {
  return procpool::read_full(fd(), buffer, "pipe");
}

bool PipeReader::ready() const {
  return wait_ready(fd(), POLLIN, Deadline::now()) != 0;
}

void PipeWriter::write_full(std::span<const std::byte> bytes) {
  procpool::write_full(fd(), bytes, "pipe");
}

void PipeWriter::write_full(std::string_view text) {
  procpool::write_full(fd(), text, "pipe");
}

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) throw_errno("pipe2");
  return {.reader = PipeReader{UniqueFd{ends[0]}}, .writer = PipeWriter{UniqueFd{ends[1]}}};
}

}  // namespace procpool::ipc
